declare function scenario(ours: object, other?: object): Promise<void>;
export = scenario;
