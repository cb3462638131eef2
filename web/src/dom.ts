/*
 * dom.ts - making elements; text always becomes a text node
 */
type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: never) => void)>;

/** "on…" attributes are listeners; true is an empty attribute; false, null and undefined leave it out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
    const element = document.createElement(tag);

    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
        else setAttribute(element, name, value);
    }
    add(element, ...children);
    return element;
}

export function add(element: Node, ...children: Child[]): void {
    for (const child of children)
        if (child !== null && child !== undefined && child !== false)
            element.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
}

export function setAttribute(element: Element, name: string, value: string | number | boolean | null | undefined): void {
    const wanted = value === true ? "" : value === false || value === null || value === undefined ? null : String(value);

    if (wanted === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== wanted) element.setAttribute(name, wanted);
}

export function setText(element: Element, text: string): void {
    if (element.textContent !== text) element.textContent = text;
}

export function empty(element: Element): void {
    while (element.firstChild !== null) element.removeChild(element.firstChild);
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
    chat: "M12 3.5c-5 0-9 3.4-9 7.7 0 2.3 1.2 4.4 3 5.8-.1 1.1-.5 2.2-1.2 3.2 1.7-.1 3.3-.7 4.6-1.6.8.2 1.7.3 2.6.3 5 0 9-3.4 9-7.7s-4-7.7-9-7.7z",
    down: "M5.5 9l6.5 6.5L18.5 9",
    close: "M6 6l12 12M18 6L6 18",
    send: "M12 19.5V5M5.5 11L12 4.5l6.5 6.5",
    fresh: "M12 20.5h8.5M16.2 3.9a2.1 2.1 0 0 1 3 3L7.6 18.5l-4 1 1-4z",
    alert: "M12 7.5v5.5m0 3.5v.01M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18z",
    person: "M12 12.2a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c.8-3.4 3.8-5 7.5-5s6.7 1.6 7.5 5",
    page: "M7 3.5h7l4.5 4.5v12.5H7zM14 3.5V8h4.5M10 12.5h5.5M10 16h5.5",
} as const;

/** Strokes in the text's colour; hidden from screen readers. */
export function icon(name: keyof typeof ICONS): SVGElement {
    const svg = document.createElementNS(SVG, "svg");
    const path = document.createElementNS(SVG, "path");

    for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", class: `icon i-${name}` })) svg.setAttribute(key, value);
    path.setAttribute("d", ICONS[name]);
    svg.appendChild(path);
    return svg;
}
