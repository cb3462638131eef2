/*
 * build.mjs - makes what the binary embeds: widget.js, its gzip, and the pages; into PARLEY_WEB_DIST or dist/
 *
 * Writes nowhere else, so that several builds can run at once, from a tree that may not be written.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/* The promise of the README: a host page loads no more than this. */
const MOST_GZIP_BYTES = 25_000;

const root = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(process.env.PARLEY_WEB_DIST ?? path.join(root, "dist"));

const result = await build({
    root,
    configFile: false,
    envDir: false,
    logLevel: "warn",
    cacheDir: path.join(out, ".vite"),
    /* A host page may be in any encoding, and a proxy may drop the charset: ASCII is read the same. */
    esbuild: { charset: "ascii", legalComments: "none" },
    build: {
        write: false,
        target: ["es2020", "safari14"],
        minify: "esbuild",
        lib: { entry: path.join(root, "src/widget.ts"), formats: ["iife"], name: "ParleyWidget" },
    },
});
const [{ output }] = [result].flat();
const script = Buffer.from(output.find((chunk) => chunk.isEntry).code);
const packed = gzipSync(script, { level: 9 });

if (packed.length > MOST_GZIP_BYTES) {
    console.error(`widget.js has ${packed.length} bytes compressed; at most ${MOST_GZIP_BYTES} are allowed`);
    process.exit(1);
}
await mkdir(out, { recursive: true });
await writeFile(path.join(out, "widget.js"), script);
await writeFile(path.join(out, "widget.js.gz"), packed);
for (const page of ["chat.html", "no-chat.html"]) await writeFile(path.join(out, page), await readFile(path.join(root, page)));
console.log(`widget.js: ${script.length} bytes, ${packed.length} compressed`);
