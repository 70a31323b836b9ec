// A fault in a page that nobody catches fails the test in which it shows, whatever that test looks at.
import { afterEach, expect } from 'vitest';
import { takeUncaught } from './chromium.ts';

afterEach(() => expect(takeUncaught()).toEqual([]));
