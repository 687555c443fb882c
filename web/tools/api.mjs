// Writes src/api/schema.ts from a server's /api/openapi.json: a type for each schema, and what each door takes
// and answers. `npm run api -- http://127.0.0.1:8014` (or a file); run it when a door the page uses changes.
import { readFile, writeFile } from "node:fs/promises";

const from = process.argv[2] ?? "http://127.0.0.1:8014";
const document = JSON.parse(
  from.startsWith("http") ? await (await fetch(`${from}/api/openapi.json`)).text() : await readFile(from, "utf8"),
);

const named = (name) => name.replace(/\W+/g, "_").replace(/_+$/, "");

function typeOf(schema) {
  if (!schema || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref) return named(schema.$ref.split("/").at(-1));
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  switch (schema.type) {
    case "string": return "string";
    case "integer": case "number": return "number";
    case "boolean": return "boolean";
    case "null": return "null";
    case "array": return `(${typeOf(schema.items)})[]`;
    case "object": return schema.properties ? fields(schema) : `Record<string, ${typeOf(schema.additionalProperties)}>`;
    default: return "unknown";
  }
}

function fields(schema) {
  const required = new Set(schema.required ?? []);
  const lines = Object.entries(schema.properties).map(
    ([name, found]) => `${JSON.stringify(name)}${required.has(name) ? "" : "?"}: ${typeOf(found)}`);
  return `{ ${lines.join("; ")} }`;
}

function reply(operation) {
  const content = Object.entries(operation.responses).find(([code]) => code.startsWith("2"))?.[1].content;
  if (!content) return "unknown";
  const json = content["application/json"];
  return json ? typeOf(json.schema) : "string";
}

const schemas = Object.entries(document.components?.schemas ?? {}).map(
  ([name, schema]) => `/** ${schema.description ?? name} */\nexport type ${named(name)} = ${typeOf(schema)};`);

const doors = [];
for (const [path, methods] of Object.entries(document.paths))
  for (const [method, operation] of Object.entries(methods)) {
    if (operation.responses["101"]) continue; // a socket
    const query = (operation.parameters ?? []).filter((one) => one.in === "query").map((one) => `${JSON.stringify(one.name)}?: string`);
    const body = operation.requestBody?.content?.["application/json"]?.schema;
    doors.push(`  /** ${operation.summary} */\n  "${method.toUpperCase()} ${path}": { query: { ${query.join("; ")} }; `
      + `body: ${body ? typeOf(body) : "undefined"}; reply: ${reply(operation)} };`);
  }

await writeFile(new URL("../src/api/schema.ts", import.meta.url), [
  "// Made by tools/api.mjs from /api/openapi.json; do not edit.", "", ...schemas, "",
  "/** What each door takes and answers. */", "export interface Doors {", ...doors, "}", ""].join("\n"));
