import { createParser, type EventSourceMessage } from 'eventsource-parser';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { frame } from '../progress/feeds.ts';
import { parseEventId } from './stream.ts';

const parse = (text: string): EventSourceMessage[] => {
  const events: EventSourceMessage[] = [];
  createParser({ onEvent: (event) => events.push(event) }).feed(text);
  return events;
};

test('whatever an event says, a browser reads it as it was said', () => {
  void fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (data, id) => {
      const [event, ...more] = parse(frame('progress', String(id), data));
      expect(more).toEqual([]);
      expect(event).toMatchObject({ event: 'progress', id: String(id) });
      expect(event?.data).toBe(JSON.stringify(data));
    }),
  );
});

test('line breaks of every kind inside of a message stay inside of it', () => {
  const message = 'one\ntwo\r\nthree\rfour\u2028five\n\nevent: complete\ndata: {}\n\n';
  const events = parse(frame('progress', '1', { message }) + frame('progress', '2', { message }));
  expect(events.map(({ event }) => event)).toEqual(['progress', 'progress']);
  expect(events.map(({ data }) => (JSON.parse(data) as { message: string }).message)).toEqual([message, message]);
});

test('[T1] an id stands for the logged event it is, or comes after', () => {
  expect(parseEventId('0')).toBe(0);
  expect(parseEventId('41')).toBe(41);
  expect(parseEventId('41.7')).toBe(41);
});

test.each(['', 'x', '-1', '1.', '.5', '1.2.3', '1e3', ' 1', '0x10', '1234567890123456'])(
  '%j is no id of ours',
  (id) => {
    expect(parseEventId(id)).toBeNull();
  },
);
