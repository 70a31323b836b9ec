// What is wrong with a key, a line each: errors keep it from being published, warnings do not.
import './keys.css';
import type { KeyProblem } from '../../../shared/protocol/key.ts';
import { Icon } from '../../ui/icons.tsx';
import { keyWords } from './words.ts';

const MOST_PROBLEMS = 12;
export const ProblemList = ({ problems }: { problems: readonly KeyProblem[] }) =>
  problems.length === 0 ? null : (
    <ul class="key-problems">
      {problems.slice(0, MOST_PROBLEMS).map(({ level, message }, i) => (
        <li key={i} class={level}>
          <Icon name="alert" />
          <span>
            <span class="off-screen">{level === 'error' ? keyWords().error : keyWords().warning}</span>
            {message.charAt(0).toUpperCase() + message.slice(1)}
          </span>
        </li>
      ))}
      {problems.length > MOST_PROBLEMS && <li>{keyWords().andMore(problems.length - MOST_PROBLEMS)}</li>}
    </ul>
  );
