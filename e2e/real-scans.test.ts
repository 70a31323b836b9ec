// The real scans of ../shared/data through the whole engine, counted by the independent score.mjs there. Where that folder
// is not at hand there is nothing to read, which is said once.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ownTemplates } from './real-scans/own-templates.ts';
import { DATA, openScans, type Prediction, readScan, SOURCES, score, tally } from './real-scans/read-scans.ts';

const MINUTES = 60_000;
/** Rotated copies are made of every so many images of a source. */
const EVERY = 4;

if (!existsSync(DATA)) {
  const said = `The real scans are not at ${DATA}: nothing is read, nothing is proven about them.`;
  console.warn(said);
  test('the real scans are at hand where they must be', () => {
    expect(process.env.CI, said).toBeUndefined();
  });
} else {
  describe('real scans of four sources, located, aligned and read', () => {
    test(
      'every page is found, hardly an answer is wrong in silence, and few need a person',
      async () => {
        const total = { images: 0, unread_pages: 0, fields: 0, flagged: 0, silent: 0 };
        const report: string[] = [];
        for (const source of SOURCES) {
          const scans = await openScans(source);
          const predictions: Record<string, Prediction> = {};
          for (const image of scans.images) {
            const { reading, prediction } = await readScan(scans, image);
            if (prediction) predictions[image] = prediction;
            const { fields, flagged, caught, silent } = tally(scans, image, prediction);
            if (flagged + silent === 0) continue;
            const said = reading.flags.join(' ');
            report.push(
              `${source} ${image}: of ${fields} ${flagged} flagged (${caught} wrong), ${silent} silent ${said}`,
            );
          }
          const { lines, ...counted } = await score(source, predictions);
          report.push(...lines);
          for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counted[key];
        }
        console.log([...report, JSON.stringify(total)].join('\n'));
        expect(total.images).toBe(94);
        expect(total.unread_pages).toBe(0);
        expect(total.silent).toBeLessThanOrEqual(3);
        expect(total.flagged).toBeLessThanOrEqual(0.03 * total.fields);
      },
      5 * MINUTES,
    );

    test(
      'turned pages read as upright ones do',
      async () => {
        for (const source of SOURCES) {
          const scans = await openScans(source);
          for (const image of scans.images.filter((_, i) => i % EVERY === 0)) {
            const upright = await readScan(scans, image);
            for (const degrees of [90, 180, 270] as const) {
              const turned = await readScan(scans, image, degrees);
              expect(turned.prediction, `${image} turned by ${degrees}°`).not.toBeNull();
              // a form that looks the same both ways up is flagged for it, whole
              if (upright.reading.flags.includes('alignment')) {
                expect(turned.reading.flags).toContain('alignment');
                continue;
              }
              for (const [label, { value, flagged }] of Object.entries(turned.prediction!)) {
                const before = upright.prediction![label]!;
                if (!flagged && !before.flagged)
                  expect(`${image} ${label} ${value}`).toBe(`${image} ${label} ${before.value}`);
              }
            }
          }
        }
      },
      5 * MINUTES,
    );

    test('pages that came with a folder of OMRChecker are read through it as it is', async () => {
      const own = await ownTemplates(path.join(DATA, 'scans', 'omrchecker'));
      const scans = await openScans('omrchecker');
      const kinds = new Set<string>();
      for (const image of scans.images) {
        const form = own(image);
        expect(form, image).not.toBeNull();
        expect(scans.form(image).template).toEqual(form!.template);
        kinds.add(form!.template.fiducials.type);
        // its labels are those of the known answers
        expect(Object.keys(scans.expected[image]!).filter((label) => !form!.labels.has(label))).toEqual([]);
      }
      expect([...kinds].sort()).toEqual(['edge', 'marks', 'none']);
    });

    test(
      '[R4] the blank sheet reads as blank',
      async () => {
        const scans = await openScans('omrchecker');
        const blank = scans.images.filter((image) =>
          Object.values(scans.expected[image]!).every((value) => value === ''),
        );
        expect(blank.length).toBeGreaterThan(0);
        for (const image of blank) {
          const { prediction } = await readScan(scans, image);
          expect(Object.values(prediction!).filter(({ value }) => value !== '')).toEqual([]);
        }
      },
      MINUTES,
    );
  });
}
