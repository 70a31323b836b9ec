// The grid of a key: questions down, booklets across, in blocks as on the sheet. Enter and the arrows move in a column.
import './keys.css';
import { useState } from 'preact/hooks';
import type { KeyContent } from '../../../shared/protocol/key.ts';
import { blocksOf, bookletsOf, questionCount, setCell, shown } from './grid.ts';
import { keyWords } from './words.ts';

const BLOCK = 20;

export interface AnswerGridProps {
  content: KeyContent;
  /** cells that something is wrong with, as `booklet question` */
  wrong: ReadonlySet<string>;
  onChange: (content: KeyContent) => void;
}

export const AnswerGrid = ({ content, wrong, onChange }: AnswerGridProps) => {
  const t = keyWords();
  const booklets = bookletsOf(content);
  return (
    <div class="key-blocks">
      {blocksOf(questionCount(content), BLOCK).map(({ from, to }) => (
        <table class="key-block" key={from}>
          <caption class="off-screen">{t.questionRange({ from, to })}</caption>
          <thead>
            <tr>
              <th scope="col">
                <span class="off-screen">{t.question}</span>
              </th>
              {booklets.map((name) => (
                <th key={name} scope="col">
                  {name || t.answer}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: to - from + 1 }, (_, i) => from + i).map((question) => (
              <tr key={question}>
                <th scope="row">{question}</th>
                {booklets.map((name) => (
                  <td key={name}>
                    <Cell
                      content={content}
                      booklet={name}
                      question={question}
                      wrong={wrong.has(`${name} ${question}`)}
                      onChange={onChange}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </div>
  );
};

interface CellProps extends Pick<AnswerGridProps, 'content' | 'onChange'> {
  booklet: string;
  question: number;
  wrong: boolean;
}

const Cell = ({ content, booklet, question, wrong, onChange }: CellProps) => {
  const stored = shown(content, booklet, question);
  // What was typed and cannot be read stays as it was typed, until it is put right.
  const [odd, setOdd] = useState<string | null>(null);
  const value = odd ?? stored;
  return (
    <input
      class={`key-cell ${/^(void|bonus)$/.test(value) ? 'kind' : ''}`}
      aria-label={booklet ? keyWords().bookletCell({ booklet, question }) : keyWords().cell({ question })}
      aria-invalid={wrong || odd !== null}
      autocomplete="off"
      autocapitalize="characters"
      spellcheck={false}
      maxLength={60}
      data-cell={`${booklet} ${question}`}
      value={value}
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => {
        const text = event.currentTarget.value;
        if (text === stored) return setOdd(null);
        const next = setCell(content, booklet, question, text);
        setOdd(next ? null : text);
        if (next) onChange(next);
      }}
      onKeyDown={(event) => {
        const step = event.key === 'ArrowUp' ? -1 : event.key === 'Enter' || event.key === 'ArrowDown' ? 1 : 0;
        if (step === 0) return;
        event.preventDefault();
        document.querySelector<HTMLInputElement>(`[data-cell="${booklet} ${question + step}"]`)?.focus();
      }}
    />
  );
};
