/*
 * sse.ts - server-sent events, read from pieces of text as the standard says (HTML, 9.2.6)
 *
 * Not EventSource: that cannot send the token in a header, hides the status of a refusal, and does not show the
 * comments by which a dead connection is told from a quiet one.
 */
export interface ServerEvent {
    id: string;
    type: string;
    data: string;
}

export class EventParser {
    private rest = "";
    private id = "";
    private type = "";
    private data: string[] = [];
    private isFirst = true;

    constructor(private readonly onEvent: (event: ServerEvent) => void) {}

    push(piece: string): void {
        let text = this.rest + piece;

        if (this.isFirst && text !== "") {
            this.isFirst = false;
            if (text.startsWith("\uFEFF")) text = text.slice(1);
        }
        /* A CR at the end may be half of a CR LF. */
        const held = text.endsWith("\r") ? "\r" : "";
        const lines = text.slice(0, text.length - held.length).split(/\r\n|\n|\r/);

        this.rest = lines.pop()! + held;
        for (const line of lines) this.line(line);
    }

    private line(line: string): void {
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");

        if (line === "") {
            if (this.data.length > 0)
                this.onEvent({ id: this.id, type: this.type || "message", data: this.data.join("\n") });
            this.type = "";
            this.data = [];
        } else if (field === "data") this.data.push(value);
        else if (field === "event") this.type = value;
        else if (field === "id" && !value.includes("\0")) this.id = value;
    }
}
