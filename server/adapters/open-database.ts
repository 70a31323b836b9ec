// The configured database, opened. For the composition roots.
import type { DatabasePlace } from '../config.ts';
import type { Database } from './database.ts';
import { openMysql } from './mysql.ts';
import { openSqlite } from './sqlite.ts';

export const openDatabase = (place: DatabasePlace): Promise<Database> =>
  place.kind === 'sqlite' ? openSqlite(place.file) : openMysql(place.url);
