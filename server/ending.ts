// When a process should end: on SIGTERM or SIGINT, or when the launcher that started it is gone.
export function onEnd(end: () => Promise<void>, graceMs: number): void {
  let ending = false;
  const begin = (): void => {
    if (ending) return;
    ending = true;
    // Whatever hangs, the process does not.
    setTimeout(() => process.exit(1), graceMs).unref();
    end().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', begin);
  process.on('SIGINT', begin);
  if (process.connected) process.on('disconnect', begin);
}

/** One line of JSON an error, for whoever reads the process's log. */
export function report(error: unknown): void {
  const { message, stack, ...more } =
    error instanceof Error
      ? { ...error, message: error.message, stack: error.stack }
      : { message: String(error), stack: undefined };
  console.error(JSON.stringify({ time: new Date().toISOString(), level: 'error', message, ...more, stack }));
}
