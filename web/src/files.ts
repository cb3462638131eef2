/*
 * files.ts - files of a message: pictures are shown, all can be saved
 *
 * An address needs no key and expires, so it is asked for when it is shown, and again by whoever clicks
 * later than that.
 */
import { add, h, icon, setAttribute } from "./dom";
import type { FileLink } from "./http";
import type { Attachment, Message } from "./protocol";
import type { Strings } from "./strings";

export type Linker = (message: string, number: number) => Promise<FileLink>;

export function filesOf(message: Message, link: Linker, { file: label }: Strings, locale: string): HTMLElement | null {
    if (message.attachments.length === 0) return null;
    return h("ul", { class: "files" }, ...message.attachments.map((one) => h("li", {}, fileOf(message.id, one, link, label, locale))));
}

function fileOf(message: string, file: Attachment, link: Linker, label: string, locale: string): HTMLElement {
    const name = file.name === "" ? label : file.name;
    const anchor = h("a", { class: "file", target: "_blank", rel: "noopener noreferrer", download: name });
    const renew = followFresh(anchor, () => link(message, file.number));

    if (file.kind === "image") {
        const picture = h("img", { alt: "", loading: "lazy" });

        picture.addEventListener("error", () => setAttribute(picture, "hidden", true));
        add(anchor, picture);
        void renew().then(
            () => setAttribute(picture, "src", anchor.href),
            () => setAttribute(picture, "hidden", true),
        );
    }
    add(
        anchor,
        h(
            "span",
            { class: "name" },
            icon("page"),
            h("span", { class: "title", dir: "auto" }, name),
            file.bytes > 0 && h("span", { class: "size" }, sizeText(file.bytes, locale)),
        ),
    );
    return anchor;
}

/** Whoever follows the anchor gets an address that is still good. Gives what asks for a new one. */
export function followFresh(anchor: HTMLAnchorElement, ask: () => Promise<FileLink>): () => Promise<void> {
    let expires = 0;

    const renew = async (): Promise<void> => {
        const { url, expiresAt } = await ask();

        expires = expiresAt;
        setAttribute(anchor, "href", url);
    };
    const follow = (event: Event): void => {
        if (expires > Date.now()) return;
        event.preventDefault();
        void renew().then(() => anchor.click(), () => undefined);
    };

    anchor.addEventListener("click", follow);
    setAttribute(anchor, "href", "#"); /* so that it can be reached by key before its address is known */
    return renew;
}

export function sizeText(bytes: number, locale: string): string {
    const [unit, divisor]: [string, number] = bytes < 1000 ? ["byte", 1] : bytes < 1_000_000 ? ["kilobyte", 1000] : ["megabyte", 1_000_000];
    const value = bytes / divisor;

    return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}
