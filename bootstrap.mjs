// From a fresh clone to a running Sheaf: looks at Node, installs the npm packages and what the machine lacks, builds
// what changed, then hands over. It runs before any package exists, so it is plain JavaScript and imports only Node.
// What the server itself does is in server/main.ts, how the tests run in e2e/support/run-tests.ts.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.dirname(fileURLToPath(import.meta.url));
const LOG = path.join(ROOT, 'setup.log');
const USAGE = 'Usage: node bootstrap.mjs demo|start|dev|check|test [arguments]';

/** A reason to stop that a person can act on: printed without a stack. */
class Refusal extends Error {}

const say = (line) => process.stdout.write(`${line}\n`);
const inRoot = (...parts) => path.join(ROOT, ...parts);
const modifiedAt = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function onPath(program) {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter).concat('/usr/sbin', '/usr/local/sbin')) {
    const file = path.join(folder, program);
    if (folder && fs.existsSync(file)) return file;
  }
  return null;
}

/** Runs a program with everything it says going to the log. Resolves to its exit code. */
function quietly(program, args, env = process.env) {
  fs.appendFileSync(LOG, `\n$ ${program} ${args.join(' ')}\n`);
  const log = fs.openSync(LOG, 'a');
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', log, log] });
    child.once('error', (error) => {
      fs.appendFileSync(LOG, `${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  }).finally(() => fs.closeSync(log));
}

const logTail = (lines = 20) => fs.readFileSync(LOG, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');

// ── Debian packages ──────────────────────────────────────────────────────────────────────────────────────────────

/** How apt may be run here without asking anybody, or null. */
function aptPrefix() {
  if (!onPath('apt-get')) return null;
  if (process.getuid?.() === 0) return [];
  const sudo = onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo ? ['sudo', '-n'] : null;
}

// A server's package starts its service when it is installed; Sheaf runs its own private one. policy-rc.d with 101
// forbids the start, and the service is not left enabled for the next boot either.
const APT_SCRIPT = `
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get -o DPkg::Lock::Timeout=300 update
apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
  for unit in redis-server mariadb; do systemctl disable --quiet "$unit" 2>/dev/null || true; done
fi
`;

const aptCommand = (packages) => `sudo apt-get install ${packages.join(' ')}`;

/** Installs Debian packages, or throws a Refusal that says what to type. `what` names them to a person. */
async function aptInstall(what, packages) {
  const prefix = aptPrefix();
  if (!prefix) {
    const how = onPath('apt-get') ? `type \`${aptCommand(packages)}\`` : `install ${packages.join(' ')}`;
    throw new Refusal(`${what} missing here and cannot be installed without your password: ${how}, then try again.`);
  }
  say(`Installing ${packages.join(', ')} …`);
  const [program, ...args] = [...prefix, 'sh', '-c', APT_SCRIPT, 'apt', ...packages];
  if ((await quietly(program, args)) !== 0) {
    say(logTail());
    throw new Refusal(
      `apt could not install ${packages.join(', ')}: see setup.log, or type \`${aptCommand(packages)}\`.`,
    );
  }
}

// ── npm packages ─────────────────────────────────────────────────────────────────────────────────────────────────

const STAMP = inRoot('node_modules', '.sheaf-lock');
const lockHash = () =>
  createHash('sha256')
    .update(fs.readFileSync(inRoot('package-lock.json')))
    .digest('hex');

/** npm writes node_modules/.package-lock.json last, so without it an install was cut short. */
function packagesAreCurrent() {
  const installedAt = modifiedAt(inRoot('node_modules', '.package-lock.json'));
  if (installedAt === 0) return false;
  if (installedAt >= modifiedAt(inRoot('package-lock.json'))) return true;
  return fs.existsSync(STAMP) && fs.readFileSync(STAMP, 'utf8') === lockHash();
}

/** Packages with compiled parts, tried in a process of their own: a broken one may take the process down. */
function nativePartsLoad() {
  const probe =
    "import B from 'better-sqlite3'; new B(':memory:').close(); await import('sharp'); await import('@julusian/jpeg-turbo');";
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', probe], { cwd: ROOT, encoding: 'utf8' });
  if (run.status !== 0) fs.appendFileSync(LOG, `${run.stderr}\n`);
  return run.status === 0;
}

async function installPackages() {
  if (packagesAreCurrent()) return;
  say('Installing npm packages (a minute or two) …');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // Not `npm ci`: it refuses a lock file that lacks other platforms' optional packages. This takes every version from
  // the lock file all the same, and with --no-save leaves that file as it is.
  const install = () => quietly(npm, ['install', '--no-save', '--include=dev', '--no-fund', '--no-audit']);
  let installed = (await install()) === 0 && nativePartsLoad();
  const compiling = /gyp|prebuild/.test(logTail(300));
  if (!installed && compiling && !(onPath('cc') && onPath('make') && onPath('python3'))) {
    await aptInstall('A compiler, which an npm package needs here, is', ['build-essential', 'python3']);
    installed = (await install()) === 0 && nativePartsLoad();
  }
  if (!installed) {
    // What is there now is not to be taken for a whole installation the next time.
    fs.rmSync(inRoot('node_modules', '.package-lock.json'), { force: true });
    say(logTail());
    throw new Refusal('The npm packages could not be installed: the lines above and setup.log say why.');
  }
  fs.writeFileSync(STAMP, lockHash());
}

// ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────

function newestUnder(...names) {
  let newest = 0;
  for (const name of names) {
    const file = inRoot(name);
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (!stat) continue;
    newest = Math.max(newest, stat.mtimeMs);
    if (stat.isDirectory())
      for (const entry of fs.readdirSync(file)) newest = Math.max(newest, newestUnder(path.join(name, entry)));
  }
  return newest;
}

/** `tsc -b` finds out by itself what changed; the web pages are built when a source is newer than they are. */
async function build() {
  const tsc = inRoot('node_modules', 'typescript', 'bin', 'tsc');
  if (modifiedAt(inRoot('dist', 'server', 'main.js')) === 0) say('Building …');
  if ((await quietly(process.execPath, [tsc, '-b'])) !== 0) return false;
  if (
    modifiedAt(inRoot('dist', 'web', 'index.html')) >
    newestUnder('pwa', 'shared', 'vite.config.ts', 'package-lock.json')
  )
    return true;
  say('Building the web pages …');
  return (await quietly(process.execPath, [inRoot('node_modules', 'vite', 'bin', 'vite.js'), 'build'])) === 0;
}

async function buildOrRefuse() {
  if (await build()) return;
  say(logTail(40));
  throw new Refusal('Sheaf does not build: the lines above and setup.log say why.');
}

// ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

const built = (...parts) => import(pathToFileURL(inRoot('dist', ...parts)).href);

/** Whoever brings a Redis of their own needs none here. */
async function needRedis() {
  if (process.env.REDIS_URL || process.env.SHEAF_REDIS_SERVER || onPath('redis-server')) return;
  await aptInstall('Redis, which Sheaf queues its work with, is', ['redis-server']);
}

async function needTestServers() {
  const missing = [];
  if (!onPath('redis-server')) missing.push('redis-server');
  if (!onPath('mariadbd') || !(onPath('mariadb-install-db') || onPath('mysql_install_db')))
    missing.push('mariadb-server');
  if (!process.env.TEST_CHROMIUM && !onPath('chromium')) missing.push('chromium', 'fonts-dejavu-core');
  // Archives are packed by what people pack them with; the order of system calls is seen with strace.
  const tools = { zip: 'zip', '7z': 'p7zip-full', bsdtar: 'libarchive-tools', python3: 'python3', strace: 'strace' };
  for (const [program, name] of Object.entries(tools)) if (!onPath(program)) missing.push(name);
  if (missing.length > 0) await aptInstall('For the tests, software is', missing);
}

async function launch(args) {
  await installPackages();
  await needRedis();
  await buildOrRefuse();
  const { main } = await built('server', 'main.js');
  return main(args);
}

async function runTests(args) {
  // A type error is one failed check among the others, so building may fail here; the runner reports it.
  await build();
  if (!fs.existsSync(inRoot('dist', 'e2e', 'support', 'run-tests.js'))) {
    say(logTail(40));
    say('0 passed, 1 failed');
    return 1;
  }
  const { runTests: run } = await built('e2e', 'support', 'run-tests.js');
  return run(args);
}

/** The server restarts when its compiled files change; vite serves the pages and passes /api on to it. */
async function develop(args) {
  await installPackages();
  await needRedis();
  await buildOrRefuse();
  const bin = (name, ...parts) =>
    spawn(process.execPath, [inRoot('node_modules', ...name), ...parts], { cwd: ROOT, stdio: 'inherit' });
  const helpers = [
    bin(['typescript', 'bin', 'tsc'], '-b', '--watch', '--preserveWatchOutput'),
    bin(['vite', 'bin', 'vite.js']),
  ];
  let stopping = false;
  let server;
  const startServer = () => {
    server = spawn(process.execPath, [inRoot('dist', 'server', 'main.js'), 'all', ...args], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    server.once('exit', () => (stopping ? undefined : setTimeout(startServer, 300)));
  };
  startServer();
  let changed;
  const watchers = ['server', 'shared'].map((folder) =>
    fs.watch(inRoot('dist', folder), { recursive: true }, (_event, file) => {
      if (!file?.endsWith('.js')) return;
      clearTimeout(changed);
      changed = setTimeout(() => server.kill('SIGTERM'), 500);
    }),
  );
  return new Promise((resolve) => {
    const stop = () => {
      if (stopping) return;
      stopping = true;
      clearTimeout(changed);
      for (const watcher of watchers) watcher.close();
      for (const helper of helpers) helper.kill('SIGTERM');
      if (server.exitCode !== null || server.signalCode !== null) resolve(0);
      server.once('exit', () => resolve(0));
      server.kill('SIGTERM');
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  });
}

const COMMANDS = {
  demo: (args) => launch(['all', '--demo', ...args]),
  start: (args) => launch(['all', ...args]),
  dev: develop,
  check: async (args) => {
    await installPackages();
    return runTests(['unit', ...args]);
  },
  test: async (args) => {
    await installPackages();
    await needTestServers();
    return runTests(args);
  },
};

async function run() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Refusal(
      `Sheaf needs Node 20.19 or newer and this is ${process.versions.node}: install a newer one from nodejs.org.`,
    );
  }
  const [command, ...args] = process.argv.slice(2);
  if ([command, ...args].some((word) => word === '--help' || word === '-h')) {
    say(USAGE);
    say('README.md says what each does, and which variables they look at.');
    return 0;
  }
  const known = Object.keys(COMMANDS).includes(command);
  if (!known) throw new Refusal(USAGE);
  process.chdir(ROOT);
  fs.writeFileSync(LOG, '');
  return COMMANDS[command](args);
}

try {
  process.exitCode = await run();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
