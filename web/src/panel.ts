/*
 * panel.ts - the chat on the screen: header, messages, notices, composer
 */
import type { Chat } from "./chat";
import { Composer } from "./composer";
import { add, empty, h, icon, setAttribute, setText } from "./dom";
import { RowList } from "./rows";
import type { Strings } from "./strings";
import { Tip } from "./tip";

/* Shorter losses of the connection are nobody's business. */
const NOTICE_AFTER_MS = 1500;
const NEAR_BOTTOM_PX = 80;
const FOCUSABLE = "button:not([disabled]),textarea,a[href],[tabindex='0']";

export interface PanelOwner {
    chat: Chat;
    strings: Strings;
    locale: string;
    title: string;
    greeting: string;
    suggestions: string[];
    isPage: boolean;
    close(): void;
    send(text: string): void;
}

export class Panel {
    readonly element: HTMLElement;
    private readonly composer: Composer;
    private readonly rows: RowList;
    private readonly tip: Tip;
    private readonly body = h("div", { class: "body" });
    private readonly log = h("ol", { class: "log" });
    private readonly feed = h("div", { class: "feed", role: "log", "aria-live": "off", tabindex: 0 }, this.log);
    private readonly suggestions = h("div", { class: "suggestions" });
    private readonly notice = h("div", { class: "notice", role: "status" });
    private readonly heading: HTMLHeadingElement;
    private readonly subtitle = h("p", { class: "subtitle" });
    private readonly avatar = h("div", { class: "avatar", "aria-hidden": "true" });
    private readonly note = h("p", { class: "note" });
    private readonly latest: HTMLButtonElement;
    private readonly fresh: HTMLButtonElement;
    private readonly closer: HTMLButtonElement;
    private readonly ask = h("div", { class: "ask", role: "alertdialog", "aria-labelledby": "ask-title", "aria-describedby": "ask-hint", hidden: true });
    private noticeTimer: ReturnType<typeof setTimeout> | null = null;
    private isLossShown = false;
    private follows = true;

    constructor(private readonly owner: PanelOwner) {
        this.heading = h(owner.isPage ? "h1" : "h2", { class: "heading", id: "title", tabindex: -1 });
        this.element = h(owner.isPage ? "main" : "section", { class: "panel", "aria-labelledby": "title", onkeydown: (e: KeyboardEvent) => this.onKey(e) });
        if (!owner.isPage) setAttribute(this.element, "role", "dialog");
        this.tip = new Tip(this.element);
        this.rows = new RowList(this.log);
        this.composer = new Composer((text) => this.send(text), owner.strings);
        this.fresh = h("button", { type: "button", class: "tool", onclick: () => this.askFresh(true) }, icon("fresh"));
        this.closer = h("button", { type: "button", class: "tool", onclick: () => owner.close() }, icon("close"));
        this.latest = h("button", { type: "button", class: "latest", hidden: true, onclick: () => this.toBottom() }, icon("down"));
        add(this.body, this.feed, this.suggestions);
        add(
            this.element,
            h(
                "header",
                { class: "header" },
                this.avatar,
                h("div", { class: "names" }, this.heading, this.subtitle),
                this.fresh,
                owner.isPage ? null : this.closer,
            ),
            this.notice,
            h("div", { class: "middle" }, this.body, this.latest),
            h("footer", { class: "footer" }, this.composer.element, this.note),
            this.ask,
            this.tip.element,
        );
        this.body.addEventListener("scroll", () => this.onScroll(), { passive: true });
        /* Pictures of the on-screen keyboard and turned phones: who read the end still does. */
        new ResizeObserver(() => this.follows && this.toBottom()).observe(this.body);
    }

    render(): void {
        const { chat, strings, title } = this.owner;
        const { thread } = chat;
        const isEmpty = thread.messages.length === 0 && thread.pending.length === 0;

        setText(this.heading, title);
        setText(this.avatar, [...title][0]?.toUpperCase() ?? "");
        setText(this.subtitle, thread.handedOver ? strings.person : strings.subtitle);
        setText(this.note, strings.note);
        this.note.hidden = thread.handedOver;
        this.composer.setStrings(strings);
        setAttribute(this.feed, "aria-label", strings.conversation);
        for (const [button, label] of [
            [this.fresh, strings.fresh],
            [this.closer, strings.close],
            [this.latest, strings.latest],
        ] as const) {
            setAttribute(button, "aria-label", label);
            setAttribute(button, "title", label);
        }
        this.fresh.hidden = thread.messages.length === 0;
        this.renderNotice();
        this.renderSuggestions(isEmpty && chat.isSynced);
        if (chat.phase === "unavailable") this.renderUnavailable();
        else if (!chat.isSynced && isEmpty) this.renderSkeleton();
        else {
            setAttribute(this.body, "aria-busy", null);
            this.body.querySelector(".skeleton")?.remove();
            this.rows.update(thread, {
                strings,
                locale: this.owner.locale,
                greeting: this.owner.greeting,
                isSlow: chat.isSlow,
                tip: this.tip,
                retry: (clientId) => chat.retry(clientId),
                discard: (clientId) => chat.discard(clientId),
                link: (message, number) => chat.fileLink(message, number),
                sourceLink: (message, number) => chat.sourceLink(message, number),
            });
        }
        if (this.follows) this.toBottom();
    }

    focus(isTouch: boolean): void {
        /* On a phone the field's focus would bring the keyboard over the answer. */
        if (isTouch) this.heading.focus();
        else this.composer.focus();
    }

    /** On a phone the rest of the page cannot be reached. */
    setModal(isModal: boolean): void {
        setAttribute(this.element, "aria-modal", isModal ? "true" : null);
    }

    toBottom(): void {
        this.follows = true;
        this.latest.hidden = true;
        this.body.scrollTop = this.body.scrollHeight;
    }

    private send(text: string): void {
        this.follows = true;
        this.owner.send(text);
    }

    private onScroll(): void {
        const { scrollTop, scrollHeight, clientHeight } = this.body;

        this.tip.onScroll();
        this.follows = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
        this.latest.hidden = this.follows;
    }

    private renderNotice(): void {
        const { chat, strings } = this.owner;
        const isLost = chat.connection === "lost" && !chat.isOffline;

        if (!isLost) {
            if (this.noticeTimer !== null) clearTimeout(this.noticeTimer);
            this.noticeTimer = null;
            this.isLossShown = false;
        } else
            this.noticeTimer ??= setTimeout(() => {
                this.isLossShown = true;
                this.render();
            }, NOTICE_AFTER_MS);
        const text = chat.isOffline ? strings.offline : this.isLossShown ? strings.lost : chat.thread.handedOver ? strings.handedOver : "";

        setText(this.notice, text);
        this.notice.className = `notice ${chat.isOffline || this.isLossShown ? "loss" : ""}`;
        this.notice.hidden = text === "";
    }

    private renderSuggestions(isShown: boolean): void {
        const { suggestions, strings } = this.owner;
        const wanted = isShown ? suggestions : [];

        this.suggestions.hidden = wanted.length === 0;
        if (this.suggestions.dataset.shown === wanted.join("\n")) return;
        this.suggestions.dataset.shown = wanted.join("\n");
        empty(this.suggestions);
        add(
            this.suggestions,
            h("p", {}, strings.suggestions),
            ...wanted.map((s) =>
                h("button", { type: "button", dir: "auto", onclick: () => { this.send(s); this.composer.focus(); } }, s),
            ),
        );
    }

    private renderSkeleton(): void {
        if (this.body.querySelector(".skeleton") !== null) return;
        setAttribute(this.body, "aria-busy", "true");
        this.body.prepend(
            h(
                "div",
                { class: "skeleton" },
                h("span", { class: "hidden", role: "status" }, this.owner.strings.loading),
                ...["", "own", ""].map((name) => h("div", { class: name })),
            ),
        );
    }

    private renderUnavailable(): void {
        const { strings } = this.owner;

        empty(this.body);
        add(this.body, h("div", { class: "unavailable", role: "alert" }, icon("alert"), h("strong", {}, strings.unavailable), h("p", {}, strings.unavailableHint)));
        this.composer.element.hidden = true;
        this.note.hidden = true;
    }

    /* --- beginning anew --- */

    private askFresh(isOpen: boolean): void {
        const { strings, chat } = this.owner;

        this.ask.hidden = !isOpen;
        empty(this.ask);
        if (!isOpen) {
            (this.fresh.hidden ? this.heading : this.fresh).focus();
            return;
        }
        const yes = h(
            "button",
            {
                type: "button",
                class: "primary",
                onclick: () => {
                    chat.newConversation();
                    this.askFresh(false);
                    this.composer.focus();
                },
            },
            strings.freshYes,
        );

        add(
            this.ask,
            h(
                "div",
                { class: "sheet" },
                h("strong", { id: "ask-title" }, strings.freshAsk),
                h("p", { id: "ask-hint" }, strings.freshHint),
                h("div", { class: "choices" }, h("button", { type: "button", class: "secondary", onclick: () => this.askFresh(false) }, strings.cancel), yes),
            ),
        );
        yes.focus();
    }

    /* --- keys --- */

    private onKey(event: KeyboardEvent): void {
        if (event.key === "Escape") {
            event.stopPropagation();
            if (this.tip.hide()) return;
            if (!this.ask.hidden) this.askFresh(false);
            else if (!this.owner.isPage) this.owner.close();
        } else if (event.key === "Tab") this.keepFocus(event);
    }

    /** Where the panel covers the page, and in a question, Tab goes round. */
    private keepFocus(event: KeyboardEvent): void {
        const frame = !this.ask.hidden ? this.ask : this.element.hasAttribute("aria-modal") ? this.element : null;
        const stops = [...(frame?.querySelectorAll<HTMLElement>(FOCUSABLE) ?? [])].filter((e) => e.offsetParent !== null);
        const active = (this.element.getRootNode() as ShadowRoot).activeElement;
        const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];

        if (edge === undefined || (active !== edge && frame?.contains(active) && active !== this.heading)) return;
        if (active === this.heading && !event.shiftKey) return;
        event.preventDefault();
        (event.shiftKey ? stops[stops.length - 1] : stops[0])!.focus();
    }
}
