// Times and durations for people.

const STEPS = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [30, "day"],
  [12, "month"],
  [Infinity, "year"],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** A date in a stored document. */
export function dateOf(value) {
  const date = new Date(value?.$date?.$numberLong ? Number(value.$date.$numberLong) : (value?.$date ?? value));
  return Number.isNaN(date.getTime()) ? null : date;
}

/** `3 minutes ago`. */
export function ago(date, now = Date.now()) {
  let count = (date.getTime() - now) / 1000;
  for (const [size, unit] of STEPS) {
    if (Math.abs(count) < size) return relative.format(Math.round(count), unit);
    count /= size;
  }
}

/** A date with its time, in the reader's zone. */
export function moment(value) {
  const date = dateOf(value);
  return date?.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** The time between two dates. */
export function duration(from, to) {
  const [start, end] = [dateOf(from), dateOf(to)];
  if (!start || !end || end < start) return undefined;
  const seconds = Math.round((end - start) / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
