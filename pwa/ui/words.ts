// The vocabulary of the screens: tones, signs and the pieces of a bar, for modules that tell without drawing.
export type Tone = 'ok' | 'run' | 'bad' | 'wait' | 'doubt';

export type IconName =
  | 'batches'
  | 'add'
  | 'queue'
  | 'online'
  | 'offline'
  | 'sending'
  | 'alert'
  | 'clock'
  | 'done'
  | 'failed'
  | 'running'
  | 'paused'
  | 'file'
  | 'images'
  | 'cover'
  | 'safe'
  | 'user'
  | 'back'
  | 'key'
  | 'task'
  | 'users'
  | 'draft'
  | 'up'
  | 'down'
  | 'search'
  | 'more'
  | 'settings'
  | 'install'
  | 'camera'
  | 'play'
  | 'stop'
  | 'again'
  | 'remove'
  | 'export'
  | 'open'
  | 'storage'
  | 'leave'
  | 'minus'
  | 'forward'
  | 'review';

export interface Segment {
  tone: Tone | 'rest';
  label: string;
  value: number;
}
