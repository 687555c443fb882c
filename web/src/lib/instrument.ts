// What the market socket tells of an instrument, its prices and its bars.
import type { Tree } from "./diff";

export interface Instrument {
  instrument_id: string; exchange_id: string; class: string; instrument_name: string; price_tick: number; price_decs: number;
  volume_multiple: number; product_id: string; expired: boolean; expire_datetime?: number; margin?: number; commission?: number;
  upper_limit?: number; lower_limit?: number; trading_time?: { day: string[][]; night: string[][] };
}
export type Quote = Tree;
export interface Bar { datetime: number; open: number; high: number; low: number; close: number; volume: number; open_oi?: number; close_oi?: number }
