// Being told to end: Ctrl-C, SIGTERM, a closed terminal, or the end of whoever started this process with a channel.

export interface Interrupts {
  /** aborted at the first interrupt: end in good order */
  first: AbortSignal;
  /** aborted at the second one: the person does not want to wait */
  second: AbortSignal;
  /** resolves at the first */
  happened: Promise<null>;
  interrupt(): void;
}

export function listenForInterrupts(): Interrupts {
  const first = new AbortController();
  const second = new AbortController();
  const interrupt = (): void => (first.signal.aborted ? second : first).abort();
  const happened = new Promise<null>((resolve) => {
    first.signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  process.on('disconnect', () => first.abort());
  // Writing to a terminal that is gone raises an error here; it is no reason to leave processes behind.
  process.stdout.on('error', () => first.abort());
  process.stderr.on('error', () => first.abort());
  return { first: first.signal, second: second.signal, happened, interrupt };
}
