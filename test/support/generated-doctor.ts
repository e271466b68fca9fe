// What is printed from the schema of doctor's report.

import { z } from 'zod';
import { reportSchema } from '../../src/doctor/report.ts';

export const DOCTOR_FILES: Readonly<Record<string, () => string>> = { 'config/doctor.schema.json': reportFile };

function reportFile(): string {
  return `${JSON.stringify(z.toJSONSchema(reportSchema), null, 2)}\n`;
}
