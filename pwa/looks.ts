// How the app looks and reads on this device: theme and language. Kept in localStorage, because it is needed before
// anything is drawn and before a database could be opened.
import { isLanguage, LANGUAGES, type Language, language, speak } from './ui/language.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
const THEME = 'sheaf-theme';
const LANGUAGE = 'sheaf-language';

export const theme = (): Theme => THEMES.find((name) => name === localStorage.getItem(THEME)) ?? 'system';

export function setTheme(chosen: Theme): void {
  localStorage.setItem(THEME, chosen);
  applyTheme();
}

function applyTheme(): void {
  const chosen = theme();
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export async function setLanguage(code: Language): Promise<void> {
  localStorage.setItem(LANGUAGE, code);
  await speak(code);
}

/** Before the first screen. A language that cannot be fetched leaves the app in English. */
export async function applyLooks(): Promise<void> {
  applyTheme();
  language.subscribe((code) => {
    document.documentElement.lang = code;
    document.documentElement.dir = LANGUAGES[code].dir;
  });
  // Another tab of this device has chosen otherwise.
  addEventListener('storage', ({ key, newValue }) => {
    if (key === THEME) applyTheme();
    if (key === LANGUAGE && isLanguage(newValue)) speak(newValue).catch(() => {});
  });
  const kept = localStorage.getItem(LANGUAGE) ?? navigator.language.split('-')[0];
  if (isLanguage(kept) && kept !== 'en') await speak(kept).catch(() => {});
}
