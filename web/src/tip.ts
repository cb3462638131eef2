/*
 * tip.ts - the small card that shows a source while its mark is pointed at or has the focus
 */
import { add, empty, h } from "./dom";
import { shorten } from "./strings";

export class Tip {
    readonly element = h("div", { class: "tip", role: "tooltip", id: "tip", hidden: true });

    private of: { mark: HTMLElement; top: number } | null = null;

    constructor(private readonly panel: HTMLElement) {}

    attach(mark: HTMLElement, title: string, quote: string): void {
        const show = (): void => this.show(mark, title, quote);
        const hide = (): void => {
            this.hide();
        };

        mark.addEventListener("pointerenter", (event) => {
            if (event.pointerType === "mouse") show();
        });
        mark.addEventListener("pointerleave", hide);
        mark.addEventListener("focus", () => {
            if (mark.matches(":focus-visible")) show();
        });
        mark.addEventListener("blur", hide);
    }

    /** Whether there was something to hide. */
    hide(): boolean {
        const wasShown = !this.element.hidden;

        this.element.hidden = true;
        this.of = null;
        return wasShown;
    }

    /** Scrolling takes the mark away from under the card. */
    onScroll(): void {
        if (this.of !== null && Math.abs(this.of.mark.getBoundingClientRect().top - this.of.top) > 4) this.hide();
    }

    private show(mark: HTMLElement, title: string, quote: string): void {
        const tip = this.element;

        empty(tip);
        add(tip, h("strong", { dir: "auto" }, title), h("span", { dir: "auto" }, shorten(quote, 220)));
        tip.hidden = false;
        const frame = this.panel.getBoundingClientRect();
        const at = mark.getBoundingClientRect();
        const left = Math.min(Math.max(at.left + at.width / 2 - frame.left - tip.offsetWidth / 2, 12), frame.width - tip.offsetWidth - 12);

        this.of = { mark, top: at.top };
        const above = at.top - frame.top - tip.offsetHeight - 8;

        tip.style.left = `${left}px`;
        tip.style.top = `${above > 60 ? above : at.bottom - frame.top + 8}px`;
    }
}
