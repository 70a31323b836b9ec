// The options of one command, and what is said of a wrong one: its name, and what the command takes.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { Mistake } from './omr-mistake.ts';

export const readOptions = <T extends ParseArgsConfig & { options: object }>(
  command: string,
  config: T,
): ReturnType<typeof parseArgs<T>> => {
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error)) throw error;
    const takes = Object.keys(config.options).map((name) => `--${name}`);
    if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const name = /'(-[^']*)'/.exec(error.message)?.[1] ?? '';
      throw new Mistake(`unknown option ${name}: ${command} takes ${takes.join(', ')}`);
    }
    if (String(error.code).startsWith('ERR_PARSE_ARGS')) throw new Mistake(error.message.split('. ')[0]);
    throw error;
  }
};
