// What a key does while a mark is looked at. An option of the question comes before everything else: `B` is an answer.
export type Action =
  | { do: 'set'; value: string }
  /** one of several marks; `finish` takes them */
  | { do: 'add'; value: string }
  | { do: 'finish' | 'accept' | 'blank' | 'skip' | 'undo' | 'ask' | 'next' | 'previous' }
  /** one of two decisions that contradict each other, from 0 */
  | { do: 'take'; index: number };

export interface Key {
  key: string;
  shift: boolean;
  ctrl: boolean;
}

/**
 * @param options of the question, as printed; none where something is typed
 * @param taking how many contradicting decisions there are to choose from
 * @param rtl lines run from right to left, and so does what comes next
 */
export function actionOf(
  { key, shift, ctrl }: Key,
  options: readonly string[],
  taking: number,
  rtl: boolean,
): Action | null {
  if (ctrl) return key.toLowerCase() === 'z' && !shift ? { do: 'undo' } : null;
  const option = options.find((one) => one.toLowerCase() === key.toLowerCase());
  if (option !== undefined)
    return shift && /\p{L}/u.test(key) ? { do: 'add', value: option } : { do: 'set', value: option };
  if (/^[1-9]$/.test(key)) {
    const index = Number(key) - 1;
    if (taking > 0) return index < taking ? { do: 'take', index } : null;
    const value = options[index];
    return value === undefined ? null : { do: 'set', value };
  }
  switch (key) {
    case ' ':
      return { do: 'accept' };
    case 'Enter':
      return { do: 'finish' };
    case '-':
    case 'Delete':
    case '0':
      return { do: 'blank' };
    case '!':
    case 'u':
      return { do: 'ask' };
    case 's':
      return { do: 'skip' };
    case 'z':
    case 'Backspace':
      return { do: 'undo' };
    case 'ArrowRight':
      return { do: rtl ? 'previous' : 'next' };
    case 'ArrowLeft':
      return { do: rtl ? 'next' : 'previous' };
    default:
      return null;
  }
}
