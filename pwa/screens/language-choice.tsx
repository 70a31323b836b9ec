// Which language the app speaks; each is named in itself.
import { useState } from 'preact/hooks';
import { setLanguage } from '../looks.ts';
import { Segmented } from '../ui/controls.tsx';
import { LANGUAGES, type Language, language } from '../ui/language.ts';

export const LanguageChoice = () => {
  const [failed, setFailed] = useState(false);
  const codes = Object.keys(LANGUAGES) as Language[];
  return (
    <div class="language-choice">
      <Segmented
        name="language"
        legend="Language · اللغة"
        options={codes.map((value) => ({ value, word: LANGUAGES[value].name }))}
        value={language.get()}
        onChange={(code) => {
          setFailed(false);
          setLanguage(code).catch(() => setFailed(true));
        }}
      />
      {failed && (
        <p class="problem" role="alert">
          This language has not been fetched yet. Try again with a network.
        </p>
      )}
    </div>
  );
};
