// Cuts RFC 4180 text into rows while it streams in. Both databases load files through this one reader, so a file means
// the same in both: fields are parted by commas, quoted ones may hold commas, doubled quotes and line breaks, lines end
// in LF or CRLF, and \N without quotes is NULL. There is no header line.

export type CsvField = string | null;

/** Text as a field of such a file. */
export const quoted = (text: string): string => (text.includes('"') ? `"${text.replaceAll('"', '""')}"` : `"${text}"`);

/** One line of such a file. */
export const csvLine = (cells: readonly (string | number | null)[]): string => {
  let line = '';
  for (const cell of cells) {
    if (line !== '') line += ',';
    if (cell === null) line += '\\N';
    else if (typeof cell === 'number') line += cell;
    else line += quoted(cell);
  }
  return `${line}\n`;
};

export class CsvError extends Error {
  override name = 'CsvError';
}

const QUOTE = 34;
const COMMA = 44;
const LF = 10;
const CR = 13;

export interface CsvReader {
  /** Takes the next piece of text and appends the fields of every row it completes to `into`: row after row, one flat
   *  list, since that is how they are bound. */
  push(text: string, into: CsvField[]): void;
  /** The text is over: a last line needs no line break. */
  end(into: CsvField[]): void;
}

/** Reads rows of exactly `columns` fields; a row with more or fewer, or a quote out of place, throws a CsvError that
 *  names the row (counted from 1). */
export function csvReader(columns: number): CsvReader {
  let rest = '';
  let row = 0;

  /** Appends whole rows and returns where the first unfinished one starts. */
  const cut = (text: string, into: CsvField[], isLast: boolean): number => {
    const length = text.length;
    let rowStart = 0;
    let rowFields = into.length;
    let at = 0;
    while (at < length) {
      let value: CsvField;
      let separator: number;
      if (text.charCodeAt(at) === QUOTE) {
        let from = at + 1;
        let close = text.indexOf('"', from);
        let unescaped = '';
        while (close !== -1 && text.charCodeAt(close + 1) === QUOTE) {
          unescaped += text.slice(from, close + 1);
          from = close + 2;
          close = text.indexOf('"', from);
        }
        if (close === -1) {
          if (isLast) throw new CsvError(`Row ${row + 1} opens a quote that is never closed`);
          break;
        }
        value = unescaped + text.slice(from, close);
        at = close + 1;
        // What follows decides whether this quote closes: another quote, a comma or a line break.
        if (at === length && !isLast) break;
        separator = at === length ? LF : text.charCodeAt(at);
        if (separator === CR) {
          if (at + 1 === length && !isLast) break;
          at += 1;
          separator = at === length ? LF : text.charCodeAt(at);
        }
        if (separator !== COMMA && separator !== LF)
          throw new CsvError(`Row ${row + 1} goes on after a closing quote without a comma`);
      } else {
        const start = at;
        let code = text.charCodeAt(at);
        while (code !== COMMA && code !== LF) {
          if (code === QUOTE) throw new CsvError(`Row ${row + 1} has a quote in the middle of a field`);
          at += 1;
          if (at === length) break;
          code = text.charCodeAt(at);
        }
        if (at === length && !isLast) break;
        separator = at === length ? LF : code;
        const end = separator === LF && at > start && text.charCodeAt(at - 1) === CR ? at - 1 : at;
        value =
          end - start === 2 && text.charCodeAt(start) === 92 && text.charCodeAt(start + 1) === 78
            ? null
            : text.slice(start, end);
      }
      into.push(value);
      at += 1;
      // A comma at the very end of the text opens one more, empty, field.
      if (separator === COMMA && at >= length && isLast) {
        into.push('');
        separator = LF;
      }
      if (separator === LF) {
        row += 1;
        if (into.length - rowFields !== columns)
          throw new CsvError(`Row ${row} has ${into.length - rowFields} fields instead of ${columns}`);
        rowStart = at;
        rowFields = into.length;
      }
    }
    into.length = rowFields;
    return rowStart;
  };

  return {
    push(text, into) {
      const whole = rest === '' ? text : rest + text;
      rest = whole.slice(cut(whole, into, false));
    },
    end(into) {
      cut(rest, into, true);
      rest = '';
    },
  };
}
