/**
 * Text as Postgres takes it. What a gateway or a person says may hold what it has no place for: the character of code
 * 0, and halves of surrogate pairs.
 */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '�');
}

/** JSON of a value, with all text in it as Postgres takes it. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'string' ? storableText(inner) : inner,
  );
}

/**
 * JSON of what people are told, which is kept as it is: Postgres' jsonb has no place for the character of code 0, so
 * what holds it is kept as the text of its JSON.
 */
export function contentJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes('\\u0000') ? JSON.stringify(text) : text;
}

/** What `contentJson` has written. */
export function readContent(stored: unknown): unknown {
  return typeof stored === 'string' ? JSON.parse(stored) : stored;
}
