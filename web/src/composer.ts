/*
 * composer.ts - where the visitor writes
 */
import { h, icon, setAttribute, setText } from "./dom";
import { fill } from "./strings";
import type { Strings } from "./strings";

/* The server's limit. */
const MOST_CHARS = 8000;
const MOST_HEIGHT_PX = 144;

export class Composer {
    readonly element: HTMLFormElement;
    private readonly input: HTMLTextAreaElement;
    private readonly button: HTMLButtonElement;
    private readonly warning: HTMLElement;

    constructor(
        private readonly send: (text: string) => void,
        private strings: Strings,
    ) {
        this.input = h("textarea", {
            rows: 1,
            enterkeyhint: "send",
            autocomplete: "off",
            oninput: () => this.update(),
            onkeydown: (event: KeyboardEvent) => this.onKey(event),
        });
        this.button = h("button", { type: "submit", class: "send" }, icon("send"));
        this.warning = h("div", { class: "warning", role: "status" });
        this.element = h(
            "form",
            { class: "composer", onsubmit: (event: Event) => this.onSubmit(event) },
            h("div", { class: "field" }, this.input, this.button),
            this.warning,
        );
        this.setStrings(strings);
    }

    setStrings(strings: Strings): void {
        this.strings = strings;
        setAttribute(this.input, "placeholder", strings.placeholder);
        setAttribute(this.input, "aria-label", strings.placeholder.replace(/\u2026$/, ""));
        setAttribute(this.button, "aria-label", strings.send);
        this.update();
    }

    focus(): void {
        this.input.focus({ preventScroll: true });
    }

    private excess(): number {
        const text = this.input.value.trim();

        return text.length <= MOST_CHARS ? 0 : [...text].length - MOST_CHARS;
    }

    private update(): void {
        const excess = this.excess();

        /* By what is written; while nothing is, by the language of the chat, as the placeholder. */
        setAttribute(this.input, "dir", this.input.value === "" ? null : "auto");
        /* Two writes and a read: the height follows the text both ways. */
        this.input.style.height = "auto";
        this.input.style.height = `${Math.min(this.input.scrollHeight, MOST_HEIGHT_PX)}px`;
        this.input.style.overflowY = this.input.scrollHeight > MOST_HEIGHT_PX ? "auto" : "hidden";
        setAttribute(this.button, "aria-disabled", this.input.value.trim() === "" || excess > 0 ? "true" : null);
        setText(this.warning, excess > 0 ? fill(this.strings.tooLong, { n: excess }) : "");
    }

    private onKey(event: KeyboardEvent): void {
        /* 229: an input method is composing, in browsers that do not say isComposing. */
        if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
        this.onSubmit(event);
    }

    private onSubmit(event: Event): void {
        const text = this.input.value.trim();

        event.preventDefault();
        if (text === "" || this.excess() > 0) return;
        this.input.value = "";
        this.update();
        this.send(text);
    }
}
