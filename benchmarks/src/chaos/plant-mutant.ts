import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

// Given to a service by --import: replaces one text in one module as it is loaded. The file itself stays as it is.

const { file, find, replace } = JSON.parse(process.env.CHAOS_MUTANT ?? '{}') as Record<string, string>;

registerHooks({
  load(url, context, nextLoad) {
    if (file === undefined || find === undefined || replace === undefined || !url.endsWith(`/${file}`)) {
      return nextLoad(url, context);
    }
    const source = readFileSync(new URL(url), 'utf8');
    const parts = source.split(find);
    if (parts.length !== 2)
      throw new Error(`${file} holds ${JSON.stringify(find)} ${parts.length - 1} times`);
    return { format: 'module-typescript', source: parts.join(replace), shortCircuit: true };
  },
});
