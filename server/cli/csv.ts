// Reads back the CSV that Sheaf exports (RFC 4180).

/** Records as objects named by the header line. */
export function parseCsv(text: string): Record<string, string>[] {
  const rows: string[][] = [[]];
  let field = '';
  let quoted = false;
  const body = text.replace(/^\uFEFF/, '');
  for (let i = 0; i < body.length; i++) {
    const char = body[i]!;
    if (quoted) {
      if (char !== '"') field += char;
      else if (body[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === ',' || char === '\n') {
      rows.at(-1)!.push(field);
      field = '';
      if (char === '\n') rows.push([]);
    } else if (char !== '\r') field += char;
  }
  rows.at(-1)!.push(field);
  const [header = [], ...records] = rows;
  return records
    .filter((record) => record.length > 1 || record[0] !== '')
    .map((record) => Object.fromEntries(header.map((name, column) => [name, record[column] ?? ''])));
}
