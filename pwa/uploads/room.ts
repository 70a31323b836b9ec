// How much more this device lets us keep. `navigator.storage.estimate()` promises what is not there; a file that is made
// longer, and nothing written to it, is refused truthfully (OPFS, in half a millisecond). Workers only.

/** One name for all: what a killed worker left behind is cut off by the next question instead of filling the device. */
const NAME = 'room';

/** False: it would not fit. True also where it cannot be asked, or somebody else is asking: then the write itself will tell. */
export async function hasRoom(bytes: number): Promise<boolean> {
  let root: FileSystemDirectoryHandle;
  try {
    root = await navigator.storage.getDirectory();
  } catch {
    return true;
  }
  try {
    const file = await root.getFileHandle(NAME, { create: true });
    const handle = await file.createSyncAccessHandle();
    try {
      handle.truncate(bytes);
      return true;
    } catch (error) {
      return !(error instanceof Error && error.name === 'QuotaExceededError');
    } finally {
      handle.truncate(0);
      handle.close();
    }
  } catch {
    return true;
  }
}
