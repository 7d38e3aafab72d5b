//! Modules and functions.

use super::state::State;
use super::{Handle, Status, api, put, text, with_state};
use crate::code::Program;
use crate::ptx;
use crate::simulator::{DEFAULT_SHARED, LoadError, MAX_SHARED, MAX_THREADS, Module};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

/// A module and the handles of its functions.
pub struct LoadedModule {
    /// Its kernels and variables.
    pub module: Module,
    functions: Vec<(String, usize)>,
}

/// A kernel with its settings.
pub struct Function {
    /// The kernel.
    pub program: Arc<Program>,
    /// Dynamic shared memory that launches may ask for.
    pub max_dynamic: usize,
    /// The handle of its module.
    pub module: usize,
    /// Whether it is on the device.
    is_loaded: bool,
}

impl Function {
    /// Shared memory that a block of this kernel may use.
    pub fn shared_limit(&self) -> usize {
        (self.program.shared_bytes + self.max_dynamic).max(DEFAULT_SHARED)
    }
}

impl State {
    fn load(&mut self, source: &str) -> Result<Handle, Status> {
        self.check_blocking()?;
        self.check_header(source)?;
        match self.device.sim.load(source) {
            Ok(module) => Ok(self.modules.insert(LoadedModule { module, functions: Vec::new() })),
            Err(LoadError::OutOfMemory) => Err(Status::OUT_OF_MEMORY),
            Err(LoadError::Ptx(error)) => {
                self.device.report(error.to_string());
                Err(Status::INVALID_PTX)
            }
        }
    }

    fn unload(&mut self, module: Handle) -> Result<(), Status> {
        self.check_blocking()?;
        let loaded = self.modules.remove(module)?;
        self.functions.retain(|function| function.module != module as usize);
        let device = &mut self.device;
        device.sim.unload(&loaded.module);
        let launched = device.launched.remove(&(module as usize)).unwrap_or_default();
        match launched.operations().all(|launch| device.sim.order.is_done(launch)) {
            true => Ok(()),
            false => {
                let message = "race: a module was unloaded while kernels of it may still run";
                Err(device.fail(Status::LAUNCH_FAILED, message.to_string()))
            }
        }
    }

    /// Whether driver and device are new enough for a module.
    fn check_header(&mut self, source: &str) -> Result<(), Status> {
        let header = ptx::header(source);
        let newest = newest_version(self.options.driver);
        if let Some((x, y)) = header.version.filter(|&version| version > newest) {
            let driver = self.options.driver;
            self.device.report(format!("PTX version {x}.{y} is too new for driver {driver}"));
            return Err(Status::UNSUPPORTED_PTX_VERSION);
        }
        let here = self.options.capability as u32;
        let fits = |(sm, exact)| if exact { sm == here } else { sm <= here };
        if let Some((sm, _)) = header.target.filter(|&target| !fits(target)) {
            self.device.report(format!("PTX for sm_{sm} on a device of sm_{here}"));
            return Err(Status::NO_BINARY_FOR_GPU);
        }
        Ok(())
    }

    fn function(&mut self, module: Handle, name: &str) -> Result<Handle, Status> {
        let loaded = self.modules.get_mut(module)?;
        if let Some((_, handle)) = loaded.functions.iter().find(|(known, _)| known == name) {
            return Ok(*handle as Handle);
        }
        let program = Arc::clone(loaded.module.kernels.get(name).ok_or(Status::NOT_FOUND)?);
        let max_dynamic = DEFAULT_SHARED.saturating_sub(program.shared_bytes);
        let function = Function { program, max_dynamic, module: module as usize, is_loaded: false };
        let handle = self.functions.insert(function);
        loaded.functions.push((name.to_string(), handle as usize));
        if self.options.driver < FUNC_LOAD {
            self.load_function(handle)?;
        }
        Ok(handle)
    }

    /// Puts a function on the device, which may block.
    fn load_function(&mut self, function: Handle) -> Result<(), Status> {
        if !self.functions.get(function)?.is_loaded {
            self.check_blocking()?;
            self.functions.get_mut(function)?.is_loaded = true;
        }
        Ok(())
    }

    /// Puts a function on the device that is launched on a stream; impossible in a capture.
    pub fn load_launched(&mut self, function: Handle, stream: Handle) -> Result<(), Status> {
        match self.capture_of(stream)? {
            Some(id) if !self.functions.get(function)?.is_loaded => {
                self.invalidate(id);
                Err(Status::STREAM_CAPTURE_UNSUPPORTED)
            }
            _ => self.load_function(function),
        }
    }

    fn set_attribute(
        &mut self,
        function: Handle,
        number: c_int,
        value: c_int,
    ) -> Result<(), Status> {
        let function = self.functions.get_mut(function)?;
        match number {
            MAX_DYNAMIC_SHARED => {
                let most = MAX_SHARED.saturating_sub(function.program.shared_bytes);
                let wanted = usize::try_from(value).ok().filter(|&bytes| bytes <= most);
                function.max_dynamic = wanted.ok_or(Status::INVALID_VALUE)?;
                Ok(())
            }
            PREFERRED_CARVEOUT => Ok(()),
            _ => Err(Status::INVALID_VALUE),
        }
    }

    fn attribute(&self, function: Handle, number: c_int) -> Result<c_int, Status> {
        let function = self.functions.get(function)?;
        let program = &function.program;
        Ok(match number {
            0 => program.max_threads.map_or(MAX_THREADS as c_int, |n| n.min(1024) as c_int),
            1 => program.shared_bytes as c_int,
            2 | 7 => 0,
            3 => program.local_bytes as c_int,
            4 => 32, // registers are not allocated here
            5 | 6 => 80,
            MAX_DYNAMIC_SHARED => function.max_dynamic as c_int,
            PREFERRED_CARVEOUT => -1,
            _ => return Err(Status::INVALID_VALUE),
        })
    }
}

/// The newest version of PTX that a driver of this CUDA version knows.
fn newest_version(driver: c_int) -> (u32, u32) {
    let (major, minor) = (driver as u32 / 1000, driver as u32 % 1000 / 10);
    match (major, minor) {
        (..=11, _) => (7, minor),
        (12, ..=5) => (8, minor),
        // 12.6 brought no new one.
        (12, _) => (8, minor - 1),
        _ => (major - 4, minor),
    }
}

/// The CUDA version that brought `cuFuncLoad`; drivers before load a function when it is asked for.
const FUNC_LOAD: c_int = 12_040;
const MAX_DYNAMIC_SHARED: c_int = 8;
const PREFERRED_CARVEOUT: c_int = 9;
/// `CU_JIT_ERROR_LOG_BUFFER` and the option of its size.
const ERROR_LOG: c_int = 5;
const ERROR_LOG_SIZE: c_int = 6;

/// Loads PTX text; binary images are refused.
///
/// # Safety
/// `image` is null, a C string or an image that the driver knows.
unsafe fn load_image(image: *const c_void) -> Result<Handle, Status> {
    // SAFETY: a C string by contract; binary images begin with bytes that are not PTX.
    let source = unsafe { text(image.cast::<c_char>()) }?;
    if source.starts_with("\u{7f}ELF") || source.as_bytes().first().is_none_or(|b| *b < b'\t') {
        return Err(Status::INVALID_IMAGE);
    }
    with_state(|s| s.load(&source))
}

api! {
    needs current;

    /// Loads a module from PTX text.
    fn cuModuleLoadData(module: *mut Handle, image: *const c_void) {
        put(module, load_image(image)?)
    }

    /// Loads a module from PTX text; of the options only the log of errors has an effect.
    fn cuModuleLoadDataEx(
        module: *mut Handle,
        image: *const c_void,
        count: c_uint,
        options: *const c_int,
        values: *const *mut c_void,
    ) {
        let loaded = load_image(image);
        if loaded.is_err() && !options.is_null() && !values.is_null() {
            let value = |wanted| {
                (0..count as usize).find(|&i| options.add(i).read() == wanted).map(|i| values.add(i).read())
            };
            if let (Some(log), Some(size)) = (value(ERROR_LOG), value(ERROR_LOG_SIZE)) {
                let text = with_state(|s| s.device.last_fault.clone());
                super::symbols::copy_text(&text, log.cast(), size as usize);
            }
        }
        put(module, loaded?)
    }

    /// Loads a module from a file of PTX text.
    fn cuModuleLoad(module: *mut Handle, path: *const c_char) {
        let source = std::fs::read_to_string(text(path)?).map_err(|_| Status::FILE_NOT_FOUND)?;
        put(module, with_state(|s| s.load(&source))?)
    }

    /// Unloads a module and its functions, whose launches the host must have waited for.
    fn cuModuleUnload(module: Handle) {
        with_state(|s| s.unload(module))
    }

    /// A kernel by name.
    fn cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char) {
        let name = text(name)?;
        put(function, with_state(|s| s.function(module, &name))?)
    }

    /// Puts a kernel on the device now, not at its first launch.
    fn cuFuncLoad(function: Handle) {
        with_state(|s| s.load_function(function))
    }

    /// Address and size of a variable.
    fn cuModuleGetGlobal_v2(
        address: *mut u64,
        bytes: *mut usize,
        module: Handle,
        name: *const c_char,
    ) {
        let name = text(name)?;
        let (start, size, _) = with_state(|s| {
            let variables = &s.modules.get(module)?.module.variables;
            variables.get(&name).copied().ok_or(Status::NOT_FOUND)
        })?;
        if !address.is_null() {
            put(address, start)?;
        }
        if bytes.is_null() { Ok(()) } else { put(bytes, size) }
    }

    /// An attribute of a kernel.
    fn cuFuncGetAttribute(value: *mut c_int, number: c_int, function: Handle) {
        put(value, with_state(|s| s.attribute(function, number))?)
    }

    /// Sets an attribute of a kernel.
    fn cuFuncSetAttribute(function: Handle, number: c_int, value: c_int) {
        with_state(|s| s.set_attribute(function, number, value))
    }

    /// The preference has no effect.
    fn cuFuncSetCacheConfig(function: Handle, preference: c_int) {
        let _ = preference;
        with_state(|s| s.functions.get(function).map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::newest_version;

    #[test]
    fn versions_of_the_language() {
        for (driver, version) in [
            (11_080, (7, 8)),
            (12_000, (8, 0)),
            (12_040, (8, 4)),
            (12_050, (8, 5)),
            (12_060, (8, 5)),
            (12_080, (8, 7)),
            (12_090, (8, 8)),
            (13_000, (9, 0)),
            (13_010, (9, 1)),
        ] {
            assert_eq!(newest_version(driver), version);
        }
    }
}
