// How much more this device lets us keep. `navigator.storage.estimate()` promises what is not there; a file that is made
// longer, and nothing written to it, is refused truthfully (OPFS, in half a millisecond). Workers only.

/** False: it would not fit. True also where it cannot be asked: then the write itself will tell. */
export async function hasRoom(bytes: number): Promise<boolean> {
  let root: FileSystemDirectoryHandle;
  try {
    root = await navigator.storage.getDirectory();
  } catch {
    return true;
  }
  const name = `room-${crypto.randomUUID()}`;
  try {
    const file = await root.getFileHandle(name, { create: true });
    const handle = await file.createSyncAccessHandle();
    try {
      handle.truncate(bytes);
      return true;
    } catch (error) {
      return !(error instanceof Error && error.name === 'QuotaExceededError');
    } finally {
      handle.close();
    }
  } catch {
    return true;
  } finally {
    await root.removeEntry(name).catch(() => {});
  }
}
