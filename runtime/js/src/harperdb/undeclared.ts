// Properties that a schema does not declare, on the instances of tables (harper-resources.md section
// 9): the last resort of a look-up, so that methods and declared attributes never come this way.
import { Resource } from "ext:kora/harperdb/resource.ts";

/** What is looked for on anything and is never a property of a record. */
function isRecordProperty(name: string | symbol): name is string {
  return typeof name === "string" && name !== "then" && name !== "constructor";
}

/**
 * Puts the undeclared properties behind the methods of `Table`. Copies of the methods of `Resource`
 * stand before them, which are found without a detour. `isInstance` tells instances from the
 * prototypes of subclasses, which have no record.
 */
export function addUndeclared(Table: any, isInstance: (receiver: any) => boolean): void {
  const undeclared = new Proxy(Resource.prototype, {
    get(target, name, receiver) {
      if (name in target || !isRecordProperty(name) || !isInstance(receiver)) {
        return Reflect.get(target, name, receiver);
      }
      return receiver.getProperty(name);
    },
    has(target, name) {
      return name in target;
    },
    set(target, name, value, receiver) {
      if (name in target || !isRecordProperty(name) || !isInstance(receiver)) {
        return Reflect.set(target, name, value, receiver);
      }
      if (typeof value === "function") {
        return Reflect.defineProperty(receiver, name, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
      receiver.set(name, value);
      return true;
    },
  });
  const methods = Object.getOwnPropertyDescriptors(Resource.prototype);
  Object.setPrototypeOf(Table.prototype, Object.create(undeclared, methods));
}
