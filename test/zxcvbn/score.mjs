// Scores passwords with the reference implementation: a JSON array of
// {"password", "words"} comes in, an array of {"score", "guesses"} goes out.
import zxcvbn from "zxcvbn";
import { readFileSync } from "node:fs";

const asked = JSON.parse(readFileSync(0, "utf8"));
const answers = asked.map(({ password, words }) => {
  const { score, guesses } = zxcvbn(password, words ?? []);
  return { score, guesses };
});
process.stdout.write(JSON.stringify(answers));
