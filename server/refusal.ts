// Why a command does not go on, in one sentence that says what to do: printed without a stack, exit code 1.
export class Refusal extends Error {
  override name = 'Refusal';
}
