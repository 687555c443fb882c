// Rows of the store as JSON: a whole number that a double cannot hold stays as its digits.
const LONG = /[[:,]\s*-?\d{16,}\s*[,}\]]/;
const WORD = /"(?:[^"\\]|\\.)*"|[-+.\deE]{16,}/g;

export function parseRows(text: string): Record<string, unknown>[] {
  const exact = LONG.test(text) ? text.replace(WORD, (word) => (/^-?\d+$/.test(word) && !Number.isSafeInteger(Number(word)) ? `"${word}"` : word)) : text;
  return JSON.parse(exact) as Record<string, unknown>[];
}

/**
 * The first rows of an answer of one JSON object a line, and whether there were more: those are not waited for.
 * What went wrong on the way is the last line, after which the answer is cut.
 */
export async function firstRows(reply: Response, limit: number): Promise<{ rows: Record<string, unknown>[]; more: boolean }> {
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  const lines: string[] = [];
  let rest = "";
  for (let done = false; !done && lines.length <= limit; ) {
    const part = await reader.read().catch((error: unknown) => {
      const [last] = lines.length ? parseRows(`[${lines.at(-1)}]`) : [];
      throw last && Object.keys(last).join() === "error" ? new Error(String(last.error)) : error;
    });
    done = part.done;
    const parts = (rest + (part.value ?? "")).split("\n");
    rest = done ? "" : (parts.pop() ?? "");
    lines.push(...parts.filter(Boolean));
  }
  const more = lines.length > limit;
  if (more) await reader.cancel();
  return { rows: parseRows(`[${lines.slice(0, limit).join(",")}]`), more };
}
