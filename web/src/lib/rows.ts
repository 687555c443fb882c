// Rows of the store as JSON: a whole number that a double cannot hold stays as its digits.
const LONG = /[[:,]\s*-?\d{16,}\s*[,}\]]/;
const WORD = /"(?:[^"\\]|\\.)*"|[-+.\deE]{16,}/g;

export function parseRows(text: string): Record<string, unknown>[] {
  const exact = LONG.test(text) ? text.replace(WORD, (word) => (/^-?\d+$/.test(word) && !Number.isSafeInteger(Number(word)) ? `"${word}"` : word)) : text;
  return JSON.parse(exact) as Record<string, unknown>[];
}
