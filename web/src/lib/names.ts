// Names of the server's parts in the page's language; one it does not know keeps its own.
import { i18n, say } from "../i18n";

export function serviceName(name: string): string {
  const [room = "", kind = ""] = name.split(".");
  const key = `service.${name.replaceAll(".", "_")}`;
  if (i18n.global.te(key)) return say(key);
  return i18n.global.te(`service.${room}`) && kind ? `${say(`service.${room}`)} ${kind}` : name;
}
