// children.mjs - the programs that a test file starts: none of them outlives its tests, whatever became of those
//
//   const child = keep(spawn(...));
//
// A test ends what it started. Where it failed to, a pipe of what goes on would keep this process alive, and
// everything that waits for it. So some time after the last test, what is still there is named and killed, and the
// file fails.
import { afterEach, beforeEach } from 'node:test';

const GRACE_MS = 30_000; // what a test does in its end may take that long

const children = new Set();
let running = 0;
let timer;

export function keep(child) {
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

function end() {
  const names = [...children].map(({ pid, spawnargs }) => `${pid} ${spawnargs.join(' ')}`);
  console.error(['still there after the tests:', ...names, ...process.getActiveResourcesInfo()].join('\n  '));
  for (const child of children) child.kill('SIGKILL');
  process.exit(1);
}

// For tests within tests, too: the last to end is the outermost.
beforeEach(() => {
  running += 1;
  clearTimeout(timer);
});
afterEach(() => {
  running -= 1;
  if (running === 0) timer = setTimeout(end, GRACE_MS).unref();
});
