// The wire's version. Any change of a schema in this folder changes the hash that version.test.ts pins: bump the
// version, add a line to the history, then pin the new hash.
//
//  1  first wire: login, uploads in chunks, batches, stream, sheets, tasks and keys
export const PROTOCOL_VERSION = 1;
