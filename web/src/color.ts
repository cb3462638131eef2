/*
 * color.ts - from one colour of the brand to a set that can be read on light and on dark (WCAG 2.2, 1.4.3)
 */
type Rgb = [number, number, number];

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
const INK: Rgb = [17, 21, 26];
/* The bubbles of style.css. Marks in them have a tint of the accent behind them: hence more than the
 * 4.5 that is asked for. */
const LIGHT: Rgb = [241, 243, 245];
const DARK: Rgb = [38, 43, 51];

function parse(hex: string): Rgb | undefined {
    const m = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(hex.trim());

    if (m === null) return undefined;
    const digits = m[1]!.length === 3 ? [...m[1]!].map((c) => c + c).join("") : m[1]!;

    return [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16)) as Rgb;
}

function format(rgb: Rgb): string {
    return `#${rgb.map((c) => Math.round(c).toString(16).padStart(2, "0")).join("")}`;
}

function luminance(rgb: Rgb): number {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)) as Rgb;

    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Rgb, b: Rgb): number {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];

    return (high + 0.05) / (low + 0.05);
}

function mix(a: Rgb, b: Rgb, part: number): Rgb {
    return a.map((c, i) => c + (b[i]! - c) * part) as Rgb;
}

/** The colour, moved towards the ink until it stands out from the paper. */
function readable(color: Rgb, paper: Rgb, ink: Rgb, least: number): Rgb {
    for (let part = 0; part <= 1; part += 0.05) {
        const tried = mix(color, ink, part);

        if (contrast(tried, paper) >= least) return tried;
    }
    return ink;
}

export interface Palette {
    /** Of surfaces: the visitor's bubbles, buttons. */
    accent: string;
    onAccent: string;
    /** Of text and thin lines on the panel's own background. */
    accentOnLight: string;
    accentOnDark: string;
}

export function palette(hex: string): Palette | undefined {
    const color = parse(hex);

    if (color === undefined) return undefined;
    /* White on a brand's colour looks right where it can be read at all. */
    const isDark = contrast(color, WHITE) >= 4.5 || contrast(color, WHITE) >= contrast(color, INK);

    return {
        accent: format(isDark ? readable(color, WHITE, BLACK, 4.6) : color),
        onAccent: format(isDark ? WHITE : INK),
        accentOnLight: format(readable(color, LIGHT, BLACK, 5.8)),
        accentOnDark: format(readable(color, DARK, WHITE, 5.8)),
    };
}
