import { expect, test } from 'vitest';
import { childEnvironment } from './children.ts';

test('API and workers share what their threads have freed, unless the operator says otherwise', () => {
  expect(childEnvironment({ HOME: '/home/sheaf' })).toEqual({
    HOME: '/home/sheaf',
    MALLOC_ARENA_MAX: '2',
    NODE_ENV: 'production',
  });
  expect(childEnvironment({ MALLOC_ARENA_MAX: '4', NODE_ENV: 'test' })).toEqual({
    MALLOC_ARENA_MAX: '4',
    NODE_ENV: 'test',
  });
});
