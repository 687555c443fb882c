// Renders /api/openapi.json: every door with its parameters, body, replies and a curl line.
import { make, setUp, text } from "./text.js";

let description = null;

const resolved = (schema) => {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? description.components.schemas[name] : schema;
};

function example(schema, depth = 0) {
  const found = resolved(schema) ?? {};
  if (found.anyOf) return example(found.anyOf[0], depth);
  if (found.default !== undefined) return found.default;
  if (found.type === "array") return depth > 3 ? [] : [example(found.items, depth + 1)];
  if (found.type === "object") return Object.fromEntries(Object.entries(found.properties ?? {}).map(([key, value]) => [key, depth > 3 ? null : example(value, depth + 1)]));
  return { string: "", integer: 0, number: 0, boolean: false }[found.type] ?? null;
}

function curl(method, path, body) {
  const parts = [`curl${method === "GET" ? "" : ` -X ${method}`} '${location.origin}${path}'`];
  if (body && method !== "GET") parts.push(`  -H 'Content-Type: application/json'`, `  -d '${JSON.stringify(example(body))}'`);
  return parts.join(" \\\n");
}

function rowsOf(pairs) {
  return make("table", "", make("tbody", "", ...pairs.map(([key, value]) => make("tr", "", make("td", "", make("code", "", key)), make("td", "", value)))));
}

function door(path, method, operation) {
  const upper = method.toUpperCase();
  const body = operation.requestBody?.content["application/json"].schema;
  const node = make("details", "door", make("summary", "", make("span", "method", upper), make("code", "", path), make("span", "note", operation.summary)));
  if (operation.parameters) node.append(make("p", "note", text("parameters")), rowsOf(operation.parameters.map((p) => [p.name, p.description])));
  if (body) node.append(make("p", "note", text("body")), make("pre", "", JSON.stringify(example(body), null, 2)));
  node.append(make("p", "note", text("replies")), rowsOf(Object.entries(operation.responses).map(([code, reply]) => [code, reply.description])));
  if (!operation.responses["101"]) node.append(make("p", "note", text("example")), make("pre", "", curl(upper, path, body)));
  return node;
}

function paint() {
  if (!description) return;
  const groups = description.tags.map(({ name }) => {
    const panel = make("section", "panel", make("h2", "", text("tags")[name] ?? name));
    for (const [path, methods] of Object.entries(description.paths))
      for (const [method, operation] of Object.entries(methods)) if (operation.tags[0] === name) panel.append(door(path, method, operation));
    return panel;
  });
  document.getElementById("doors").replaceChildren(...groups);
}

setUp(paint);
try {
  description = await (await fetch("/api/openapi.json")).json();
  paint();
} catch (error) {
  document.getElementById("doors").replaceChildren(make("p", "banner", String(error)));
}
