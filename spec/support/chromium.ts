import { execFileSync } from 'node:child_process';
import { type Browser, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The program, from CHROMIUM or the PATH; nothing when there is none. */
function program(): string | undefined {
  const { CHROMIUM } = process.env;
  if (CHROMIUM?.includes('/')) return CHROMIUM;
  for (const name of CHROMIUM ? [CHROMIUM] : NAMES)
    try {
      return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      // Maybe by another name.
    }
  return undefined;
}

const found = program();

/** For the title of specs that need Chromium: the reason if they are skipped. */
export const needsChromium: string = found ? '' : ' (skipped: no chromium on the PATH or in CHROMIUM)';

/** Not every machine has a Chromium; where one is promised (LEAT_REQUIRE_ENGINES), a missing one is a failure. */
export async function openChromium(hook: Mocha.Context): Promise<Browser> {
  if (found) return launch(found);
  if (process.env.LEAT_REQUIRE_ENGINES === '1') throw new Error('there is no chromium');
  return hook.skip();
}

/** For scripts, which end without one. */
export function startChromium(): Promise<Browser> {
  if (!found) throw new Error('there is no chromium on the PATH or in CHROMIUM');
  return launch(found);
}

/** Chromium refuses its sandbox to root; the pages here are our own. */
function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--enable-precise-memory-info'],
    ...{ handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false },
  });
}

/** A page that a spec may ask by scripts, at a width of a screen unless it says otherwise. */
export function newPage(browser: Browser, options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
  return browser.newPage({
    ...{ bypassCSP: true, ignoreHTTPSErrors: true, viewport: { width: 900, height: 560 } },
    ...options,
  });
}

/** Waits until an expression holds in a page; a busy machine takes its time. */
export async function holds(page: Page, expression: string): Promise<void> {
  await page.waitForFunction(expression, undefined, { timeout: 60_000, polling: 20 });
}
