// What axe finds on a page as it stands.
import axe from 'axe-core';
import type { Page } from 'playwright-core';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** The same with all of the page in view: what has been scrolled half under the bar is not smaller for it. A page that was
 *  longer than it looked, because something came into it meanwhile, is looked at again. */
export async function complaintsAt(
  page: Page,
  screen: string,
  viewport: { width: number; height: number },
): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    await page.setViewportSize(viewport);
    const height = Math.max(viewport.height, await page.evaluate(() => document.documentElement.scrollHeight));
    await page.setViewportSize({ width: viewport.width, height });
    const found = await complaints(page, screen);
    const grown = await page.evaluate(() => document.documentElement.scrollHeight);
    if (grown <= height || tries === 2) return found;
  }
}

/** A line each; nothing when all is well. `screen` names the page in it. */
export async function complaints(page: Page, screen: string): Promise<string[]> {
  // Once a document: it is a megabyte of text.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe.source);
  const found = await page.evaluate(async (rules) => {
    // Half-way through a change of colour there is a contrast that nobody has to read.
    const changing = () =>
      document
        .getAnimations()
        .filter(({ playState, effect }) => playState === 'running' && effect?.getComputedTiming().endTime !== Infinity);
    for (let moving = changing(); moving.length > 0; moving = changing())
      await Promise.all(moving.map(({ finished }) => finished.catch(() => undefined)));
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    return (await axe.run(document, { runOnly: rules, resultTypes: ['violations'] })).violations;
  }, RULES);
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${screen}: ${id} at ${target}: ${failureSummary}`),
  );
}
