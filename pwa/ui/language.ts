// The language of the app: which one, which way it runs, and how its messages are made. English is part of the shell;
// any other language is one file that is fetched when somebody asks for it. Screens keep their words in `words.ts`.
import { createI18n, type TranslationsJSON, transform } from '@nanostores/i18n';
import { atom } from 'nanostores';

/** `tag`: for Intl. Digits stay Latin: task ids, roll numbers and scores are printed so on paper. */
export const LANGUAGES = {
  en: { name: 'English', dir: 'ltr', tag: 'en' },
  ar: { name: 'العربية', dir: 'rtl', tag: 'ar-u-nu-latn' },
} as const;
export type Language = keyof typeof LANGUAGES;
export const isLanguage = (code: string | null | undefined): code is Language => code === 'en' || code === 'ar';

export const language = atom<Language>('en');
export const languageTag = (): string => LANGUAGES[language.get()].tag;

const i18n = createI18n<Language, 'en'>(language, {
  baseLocale: 'en',
  get: async () => (await import('./arabic.ts')).arabic,
});

type Value = string | number;
type Named<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Named<Rest> : never;
/** The forms of a number in a language, as Intl.PluralRules names them: English has two, Arabic six. */
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

function put(code: string, text: string, values: Readonly<Record<string, Value>>): string {
  const { dir, tag } = LANGUAGES[code as Language];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    if (typeof value === 'number') return new Intl.NumberFormat(tag).format(value);
    // A file name among Arabic words keeps its own direction (Unicode 15, 23.3: FSI and PDI).
    return dir === 'rtl' && /[a-z]/i.test(value) ? `\u2068${value}\u2069` : value;
  });
}

const filled = transform<[Record<string, Value>], string, string>((code, text, values) => put(code, text, values));
const counted = transform<[number, Record<string, Value>?], Forms & TranslationsJSON, string>(
  (code, forms, n, values = {}) => {
    const form = new Intl.PluralRules(LANGUAGES[code as Language].tag).select(n);
    return put(code, forms[form] ?? forms.other, { ...values, n });
  },
);

/** A message with names in braces: `fill('page {page} of {pages}')({ page: 1, pages: 2 })`. */
export const fill = filled as unknown as <T extends string>(text: T) => (values: Record<Named<T>, Value>) => string;
/** A message about `{n}` things. Other names in braces are given after the number. */
export const plural = counted as unknown as <const F extends Forms>(
  forms: F,
) => (
  n: number,
  ...values: Exclude<Named<F[keyof F] & string>, 'n'> extends never
    ? []
    : [Record<Exclude<Named<F[keyof F] & string>, 'n'>, Value>]
) => string;

type Message = string | ((...values: never[]) => string);

/** What a translator writes for the messages that `M` returns. */
export type Translated<M extends () => Record<string, Message>> = {
  [K in keyof ReturnType<M>]: ReturnType<M>[K] extends string
    ? string
    : ReturnType<M>[K] extends (n: number, ...rest: never[]) => string
      ? Forms
      : string;
};

/** Messages under a name. What is returned gives them in the language of the moment. */
export function define<B extends Record<string, Message>>(name: string, base: B): () => B {
  const store = i18n(name, base as Parameters<typeof i18n>[1]);
  // Listened to for good: otherwise it would not follow the language.
  store.listen(() => {});
  return () => store.get() as B;
}

/** Changes the language; resolves when its messages are there. Rejects when they cannot be fetched. */
export async function speak(code: Language): Promise<void> {
  if (code !== 'en') await import('./arabic.ts');
  language.set(code);
  if (!i18n.loading.get()) return;
  await new Promise<void>((resolve) => {
    const stop = i18n.loading.listen((loading) => {
      if (loading) return;
      stop();
      resolve();
    });
  });
}
