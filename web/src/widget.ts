/*
 * widget.ts - the script tag: reads its attributes, makes the launcher and the panel in a shadow tree, and gives
 * the page window.Parley
 */
import { Chat } from "./chat";
import { palette } from "./color";
import { add, h, icon, setAttribute, setText } from "./dom";
import { Panel } from "./panel";
import type { Message } from "./protocol";
import { chooseLocale, directionOf, fill, shorten, stringsOf } from "./strings";
import type { Strings } from "./strings";
import css from "./style.css?inline";

const PHONE = "(max-width: 540px), (max-height: 420px)";

type EventName = "ready" | "open" | "close" | "message" | "unread";
type Listener = (detail: unknown) => void;

class Widget {
    readonly chat: Chat;
    strings: Strings;
    locale: string;
    readonly isPage: boolean;
    isOpen = false;
    private readonly host = h("div", { class: "parley" });
    private readonly root = h("div", { class: "root" });
    private readonly launcher: HTMLButtonElement;
    private readonly badge = h("span", { class: "badge", hidden: true });
    private readonly announcer = h("div", { class: "hidden", role: "status", "aria-live": "polite" });
    private readonly panel: Panel;
    private readonly phone = matchMedia(PHONE);
    private readonly listeners = new Map<EventName, Set<Listener>>();
    private frame = 0;
    private lastUnread = 0;
    private pageOverflow: string | null = null;

    constructor(
        server: string,
        channel: string,
        private readonly options: DOMStringMap,
    ) {
        this.isPage = options.page !== undefined;
        this.locale = this.chooseLocale();
        this.strings = stringsOf(this.locale);
        this.chat = new Chat(server, channel, {
            onChange: () => this.changed(),
            onArrival: (message) => this.arrived(message),
        });
        this.launcher = h("button", { type: "button", class: "launcher", "aria-expanded": "false", onclick: () => this.toggle() }, icon("chat"), icon("down"), this.badge);
        this.panel = new Panel(this);
        this.mount();
        if (this.isPage || options.open !== undefined) this.open(this.isPage);
        void this.chat.begin().then(() => this.emit("ready", null));
    }

    /* --- what the panel shows --- */

    get title(): string {
        return this.options.title || (this.chat.info !== null ? this.chat.info.title || this.strings.assistant : "");
    }

    get greeting(): string {
        return this.chat.info?.greeting || this.strings.greeting;
    }

    get suggestions(): string[] {
        return this.chat.info?.suggestions ?? [];
    }

    /* --- what the page may do --- */

    open(isQuiet = false): void {
        if (!this.isOpen) {
            this.isOpen = true;
            this.chat.connect();
            this.layout();
            this.render();
            this.panel.toBottom();
            this.emit("open", null);
        }
        if (!isQuiet || matchMedia("(pointer: fine)").matches) this.panel.focus(matchMedia("(pointer: coarse)").matches);
    }

    close(): void {
        if (!this.isOpen || this.isPage) return;
        this.isOpen = false;
        this.layout();
        this.render();
        this.launcher.focus();
        this.emit("close", null);
    }

    toggle(): void {
        if (this.isOpen) this.close();
        else this.open();
    }

    send(text: string): void {
        if (text.trim() !== "") this.chat.send(text.trim());
    }

    on(name: EventName, listener: Listener): () => void {
        const known = this.listeners.get(name) ?? new Set();

        this.listeners.set(name, known.add(listener));
        return () => known.delete(listener);
    }

    /* --- inside --- */

    private emit(name: EventName, detail: unknown): void {
        for (const listener of this.listeners.get(name) ?? []) {
            try {
                listener(detail);
            } catch (error) {
                reportError(error); /* the page's own */
            }
        }
    }

    private chooseLocale(channelLocale = ""): string {
        return chooseLocale([this.options.locale, channelLocale, document.documentElement.lang, ...navigator.languages]);
    }

    private mount(): void {
        const shadow = this.host.attachShadow({ mode: "open" });

        adoptStyle(shadow);
        add(this.root, this.panel.element, this.isPage ? null : this.launcher, this.announcer);
        add(shadow, this.root);
        document.body.append(this.host);
        setAttribute(this.host, "data-mode", this.isPage ? "page" : "popup");
        setAttribute(this.host, "data-position", this.options.position === "left" ? "left" : "right");
        setAttribute(this.host, "data-theme", this.options.theme ?? null);
        this.phone.addEventListener("change", () => this.layout());
        for (const type of ["resize", "scroll"]) window.visualViewport?.addEventListener(type, () => this.fitKeyboard());
        document.addEventListener("visibilitychange", () => this.changed());
        this.layout();
        this.render();
    }

    private changed(): void {
        if (this.frame !== 0) return;
        /* A hidden page gets no frames, but its badge and its read marks are to be right. */
        const later = document.hidden ? (run: () => void) => setTimeout(run, 50) : requestAnimationFrame;

        this.frame = 1;
        later(() => {
            this.frame = 0;
            this.render();
        });
    }

    private render(): void {
        this.applyInfo();
        if (this.isOpen) this.panel.render();
        if (this.isOpen && !document.hidden) this.chat.markRead();
        const unread = this.isOpen ? 0 : this.chat.unread();

        this.badge.hidden = unread === 0;
        setText(this.badge, unread > 9 ? "9+" : String(unread));
        setAttribute(
            this.launcher,
            "aria-label",
            (this.isOpen ? this.strings.close : this.strings.open) + (unread > 0 ? `. ${fill(this.strings.unread, { n: unread })}` : ""),
        );
        if (unread !== this.lastUnread) this.emit("unread", (this.lastUnread = unread));
    }

    private applyInfo(): void {
        const { info } = this.chat;
        const colors = palette(this.options.color ?? "") ?? palette(info?.color ?? "");

        this.locale = this.chooseLocale(info?.locale);
        this.strings = stringsOf(this.locale);
        /* A launcher that changes its colour while one looks is not a calm one. */
        setAttribute(this.root, "data-unknown", info === null && colors === undefined && this.chat.connection !== "lost" ? "" : null);
        setAttribute(this.root, "dir", directionOf(this.locale));
        setAttribute(this.root, "lang", this.locale);
        if (colors !== undefined)
            for (const [name, value] of Object.entries(colors)) this.root.style.setProperty(`--${name}`, value);
        if (this.isPage) {
            document.title = this.title || document.title;
            setAttribute(document.documentElement, "lang", this.locale);
            setAttribute(document.documentElement, "dir", directionOf(this.locale));
        }
    }

    private layout(): void {
        const isModal = this.isOpen && !this.isPage && this.phone.matches;
        const { style } = document.documentElement;

        setAttribute(this.host, "data-open", this.isOpen ? "" : null);
        setAttribute(this.host, "data-phone", this.phone.matches ? "" : null);
        setAttribute(this.launcher, "aria-expanded", String(this.isOpen));
        this.panel.element.hidden = !this.isOpen;
        this.panel.setModal(isModal);
        if (isModal && this.pageOverflow === null) {
            this.pageOverflow = style.overflow;
            style.overflow = "hidden";
        } else if (!isModal && this.pageOverflow !== null) {
            style.overflow = this.pageOverflow;
            this.pageOverflow = null;
        }
        this.fitKeyboard();
    }

    /** The on-screen keyboard shrinks what can be seen, not the page: the panel follows. */
    private fitKeyboard(): void {
        const view = window.visualViewport;

        if (view === null || !this.phone.matches || view.scale > 1.01) return;
        this.root.style.setProperty("--view-height", `${view.height}px`);
        this.root.style.setProperty("--view-top", `${view.offsetTop}px`);
    }

    private arrived(message: Message): void {
        const who = message.role === "agent" ? this.strings.person : this.strings.assistant;

        /* Once, when it is whole: not each word of it. */
        setText(this.announcer, fill(this.strings.said, { who, text: shorten(message.text.replace(/\*\*|`|\[\d+\]/g, ""), 1000) }));
        this.emit("message", { id: message.id, role: message.role, text: message.text });
    }
}

/** A sheet of our own passes the page's Content-Security-Policy, where a style element would not. */
function adoptStyle(shadow: ShadowRoot): void {
    try {
        const sheet = new CSSStyleSheet();

        sheet.replaceSync(css);
        shadow.adoptedStyleSheets = [sheet];
    } catch {
        add(shadow, h("style", {}, css));
    }
}

function start(script: HTMLScriptElement): void {
    const { dataset } = script;
    const server = new URL(".", script.src).href.replace(/\/$/, "");
    /* The page that the server hosts is the same for every chat: the address names it. */
    const channel = dataset.channel ?? (dataset.page !== undefined ? decodeURIComponent(/\/chat\/([^/]+)/.exec(location.pathname)?.[1] ?? "") : "");

    if (channel === "" || "Parley" in window) return;
    const widget = new Widget(server, channel, { ...dataset });

    Object.assign(window, {
        Parley: {
            open: () => widget.open(),
            close: () => widget.close(),
            toggle: () => widget.toggle(),
            send: (text: string) => widget.send(String(text)),
            newConversation: () => widget.chat.newConversation(),
            on: (name: EventName, listener: Listener) => widget.on(name, listener),
        },
    });
    dispatchEvent(new CustomEvent("parley:ready"));
}

const script = document.currentScript as HTMLScriptElement | null;

if (script !== null) {
    if (document.body !== null) start(script);
    else addEventListener("DOMContentLoaded", () => start(script));
}
