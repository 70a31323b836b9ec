import * as v from 'valibot';
import { expect, test } from 'vitest';
import { fieldErrors } from './issues.ts';

test('a missing field is said to be missing, and one too many to be none', () => {
  const schema = v.strictObject({ marks: v.object({ blank: v.number() }) });
  const said = (json: unknown) => fieldErrors(v.safeParse(schema, json).issues ?? []);
  expect(said({ marks: {} })).toEqual([{ field: 'marks.blank', message: 'is missing' }]);
  expect(said({})).toEqual([{ field: 'marks', message: 'is missing' }]);
  expect(said({ marks: { blank: 0 }, colour: 'red' })).toEqual([
    { field: 'colour', message: 'there is no such field' },
  ]);
  expect(said(7)).toEqual([{ field: '', message: 'Invalid type: Expected Object but received 7' }]);
});
