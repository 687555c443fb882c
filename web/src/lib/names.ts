// Names in the page's language: of the server's parts (one it does not know keeps its own), and of instruments.
import { i18n, say } from "../i18n";
import type { Instrument } from "./instrument";

/** The name of an instrument; a product's main contract and index say so, as the server names them like the product. */
export function instrumentName(one: Instrument): string {
  const kind = one.instrument_id.startsWith("KQ.m@") ? "main" : one.instrument_id.startsWith("KQ.i@") ? "index" : null;
  return kind ? say(`market.${kind}`, { name: one.instrument_name }) : one.instrument_name;
}

export function serviceName(name: string): string {
  const [room = "", kind = ""] = name.split(".");
  const key = `service.${name.replaceAll(".", "_")}`;
  if (i18n.global.te(key)) return say(key);
  return i18n.global.te(`service.${room}`) && kind ? `${say(`service.${room}`)} ${kind}` : name;
}
