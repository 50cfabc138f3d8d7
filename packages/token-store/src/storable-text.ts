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
