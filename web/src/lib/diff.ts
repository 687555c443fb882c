// The client half of DIFF: one tree that RFC 7386 patches are merged into, and listeners told once per message.
// It knows no socket and no Vue; market and trade sockets feed the same store.

// eslint-free by design: the tree is whatever the server says it is.
export type Tree = { [key: string]: any };
/** Called after a whole message is merged, with the patches that touched this root key, in order. */
export type Listener = (patches: Tree[]) => void;

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Merge `patch` into `target`: null deletes, an object recurses, anything else replaces. */
export function merge(target: Tree, patch: Tree): void {
  for (const key of Object.keys(patch)) {
    if (key === "__proto__") continue;
    const value = patch[key];
    if (value === null) {
      delete target[key];
    } else if (isTree(value)) {
      const below = Object.hasOwn(target, key) ? target[key] : undefined;
      if (isTree(below)) merge(below, value);
      else merge((target[key] = {}), value);
    } else {
      target[key] = value;
    }
  }
}

/** The merged tree of every socket that feeds it. */
export class DiffStore {
  readonly tree: Tree = {};
  private readonly listeners = new Map<string, Set<Listener>>();

  /** Merge the patches of one message, then tell each listener once: nobody sees half a message. */
  apply(data: readonly Tree[]): void {
    const touched = new Map<string, Tree[]>();
    for (const patch of data) {
      if (!isTree(patch)) continue;
      merge(this.tree, patch);
      for (const root of Object.keys(patch)) {
        const below = patch[root];
        const list = touched.get(root) ?? [];
        list.push(isTree(below) ? below : {});
        touched.set(root, list);
      }
    }
    for (const [root, patches] of touched)
      for (const listener of [...(this.listeners.get(root) ?? [])]) listener(patches);
  }

  /** Listen to changes below a root key (`quotes`, `klines`, `trade`, …); returns how to stop. */
  on(root: string, listener: Listener): () => void {
    const set = this.listeners.get(root) ?? new Set();
    set.add(listener);
    this.listeners.set(root, set);
    return () => set.delete(listener);
  }

  /** Forget root keys, without telling anyone: what a new connection will send whole. */
  drop(...roots: string[]): void {
    for (const root of roots) delete this.tree[root];
  }
}
