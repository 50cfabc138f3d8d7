import { writeFile } from 'node:fs/promises';
import { capacityFile, capacityModule } from './capacity-figures.ts';

await writeFile(capacityFile, await capacityModule());
