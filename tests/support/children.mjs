// children.mjs - the programs that a test file starts, none of which outlives its tests; and no file stands still
//
//   const child = keep(spawn(...), () => 'what it said last');
//
// A test ends what it started. Where it failed to, a pipe of what goes on would keep this process alive, and
// everything that waits for it. So some time after the last test, what is still there is named and killed, and the
// file fails. Likewise where a test, or what comes before the first, waits for something that never happens: a
// browser's evaluate, for one, knows no deadline.
import { afterEach, beforeEach } from 'node:test';

const GRACE_MS = 30_000; // what a test does in its end may take that long
// From one test's beginning or end to the next; a test of a thousand kills has its own bound.
const STILL_MS = process.env.CRASH_KILLS ? 2 ** 31 - 1 : Number(process.env.PARLEY_TEST_STILL_MS ?? 300_000);

const children = new Map(); // to what tells what it said last
const running = [];
let timer;

export function keep(child, lastWords = () => '') {
  children.set(child, lastWords);
  child.once('close', () => children.delete(child));
  return child;
}

function end(what) {
  const names = [...children].map(([{ pid, spawnargs }, lastWords]) => `${pid} ${spawnargs.join(' ')}\n${lastWords()}`);
  console.error([what, ...names, ...process.getActiveResourcesInfo()].join('\n  '));
  for (const child of children.keys()) child.kill('SIGKILL');
  process.exit(1);
}

function watch() {
  clearTimeout(timer);
  timer = setTimeout(end, STILL_MS, `nothing ended for ${STILL_MS / 1000} s in: ${running.at(-1) ?? 'what comes before the tests'}`);
}

watch();
timer.unref(); // a file may import this and start nothing
// For tests within tests, too: the last to end is the outermost.
beforeEach((test) => {
  running.push(test?.name ?? 'a test');
  watch();
});
afterEach((test) => {
  running.splice(running.lastIndexOf(test?.name ?? 'a test'), 1);
  if (running.length > 0) return watch();
  clearTimeout(timer);
  timer = setTimeout(end, GRACE_MS, 'still there after the tests:').unref();
  return undefined;
});
