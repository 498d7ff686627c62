// rustc client.rs -L native=LIB -l dylib=series: no crate is needed.
use std::ffi::{c_char, c_double, c_int, c_void, CStr, CString};
use std::ptr::{null, null_mut};

type Handle = u64;

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: c_int,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct DlManagedTensor {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManagedTensor)>,
}

extern "C" {
    fn series_last_error() -> *const c_char;
    fn series_open(options: *const c_void, model: *mut Handle) -> c_int;
    fn series_close(model: Handle) -> c_int;
    fn series_method_count(model: Handle, count: *mut usize) -> c_int;
    fn series_method_schema(model: Handle, index: usize, schema: *mut *const c_char) -> c_int;
    fn series_call(
        model: Handle,
        method: *const c_char,
        arguments: *const Handle,
        count: usize,
        result: *mut Handle,
    ) -> c_int;
    fn series_float(number: c_double, value: *mut Handle) -> c_int;
    fn series_string(text: *const c_char, bytes: usize, value: *mut Handle) -> c_int;
    fn series_list(items: *const Handle, count: usize, value: *mut Handle) -> c_int;
    fn series_from_dlpack(tensor: *mut DlManagedTensor, value: *mut Handle) -> c_int;
    fn series_view(value: Handle, view: *mut DlTensor) -> c_int;
    fn series_find(value: Handle, name: *const c_char, item: *mut Handle) -> c_int;
    fn series_item(value: Handle, index: usize, item: *mut Handle) -> c_int;
    fn series_size(value: Handle, size: *mut usize) -> c_int;
    fn series_get_text(value: Handle, text: *mut *const c_char, bytes: *mut usize) -> c_int;
    fn series_get_int(value: Handle, number: *mut i64) -> c_int;
    fn series_free(value: Handle) -> c_int;
}

fn check(status: c_int) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    let text = unsafe { CStr::from_ptr(series_last_error()) };
    Err(format!("error {}: {}", status, text.to_string_lossy()))
}

/// A value of the library, freed with its owner.
struct Value(Handle);

impl Value {
    fn of(make: impl FnOnce(*mut Handle) -> c_int) -> Result<Value, String> {
        let mut handle = 0;
        check(make(&mut handle))?;
        Ok(Value(handle))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        unsafe { series_free(self.0) };
    }
}

/// What a tensor in Rust's memory consists of; the library gives it back to `release`.
struct Owned {
    _data: Vec<f32>,
    _shape: Vec<i64>,
    managed: DlManagedTensor,
}

unsafe extern "C" fn release(tensor: *mut DlManagedTensor) {
    drop(Box::from_raw((*tensor).context as *mut Owned));
}

/// The numbers become the library's, without a copy.
fn from_vec(mut data: Vec<f32>, mut shape: Vec<i64>) -> Result<Value, String> {
    let tensor = DlTensor {
        data: data.as_mut_ptr() as *mut c_void,
        device_type: 1,
        device_id: 0,
        ndim: shape.len() as i32,
        code: 2,
        bits: 32,
        lanes: 1,
        shape: shape.as_mut_ptr(),
        strides: null_mut(),
        byte_offset: 0,
    };
    let managed = DlManagedTensor { tensor, context: null_mut(), deleter: Some(release) };
    let owned = Box::into_raw(Box::new(Owned { _data: data, _shape: shape, managed }));
    unsafe {
        (*owned).managed.context = owned as *mut c_void;
        let made = Value::of(|out| series_from_dlpack(&mut (*owned).managed, out));
        if made.is_err() {
            drop(Box::from_raw(owned)); // it is ours still
        }
        made
    }
}

fn numbers(value: &Value) -> Result<Vec<f32>, String> {
    let mut view: DlTensor = unsafe { std::mem::zeroed() };
    check(unsafe { series_view(value.0, &mut view) })?;
    let shape = unsafe { std::slice::from_raw_parts(view.shape, view.ndim as usize) };
    let count = shape.iter().product::<i64>() as usize;
    Ok(unsafe { std::slice::from_raw_parts(view.data as *const f32, count) }.to_vec())
}

fn call(model: Handle, method: Option<&str>, arguments: &[&Value]) -> Result<Value, String> {
    let name = method.map(|m| CString::new(m).unwrap());
    let handles: Vec<Handle> = arguments.iter().map(|a| a.0).collect();
    let pointer = name.as_ref().map_or(null(), |n| n.as_ptr());
    Value::of(|out| unsafe { series_call(model, pointer, handles.as_ptr(), handles.len(), out) })
}

fn run(model: Handle) -> Result<(), String> {
    let mut count = 0;
    check(unsafe { series_method_count(model, &mut count) })?;
    for i in 0..count {
        let mut schema = null();
        check(unsafe { series_method_schema(model, i, &mut schema) })?;
        println!("{}", unsafe { CStr::from_ptr(schema) }.to_string_lossy());
    }
    let series = from_vec(vec![1.0, 2.0, 3.0, 4.0, 2.0, 6.0], vec![2, 3])?;
    let scale = Value::of(|out| unsafe { series_float(0.5, out) })?;
    let result = call(model, None, &[&series, &scale])?;
    for name in ["scaled", "mean"] {
        let key = CString::new(name).unwrap();
        let tensor = Value::of(|out| unsafe { series_find(result.0, key.as_ptr(), out) })?;
        let shown: Vec<String> = numbers(&tensor)?.iter().map(|n| format!("{:.6}", n)).collect();
        println!("{}: {}", name, shown.join(" "));
    }

    let make = |text: &str| {
        Value::of(|out| unsafe { series_string(text.as_ptr() as *const c_char, text.len(), out) })
    };
    let (a, b) = (make("a")?, make("b")?);
    let names = Value::of(|out| unsafe { series_list([a.0, b.0].as_ptr(), 2, out) })?;
    let result = call(model, Some("describe"), &[&series, &names])?;
    let words = Value::of(|out| unsafe { series_item(result.0, 0, out) })?;
    let (mut text, mut bytes) = (null(), 0);
    check(unsafe { series_get_text(words.0, &mut text, &mut bytes) })?;
    let text = unsafe { std::slice::from_raw_parts(text as *const u8, bytes) };
    println!("{}", String::from_utf8_lossy(text));
    let counts = Value::of(|out| unsafe { series_item(result.0, 1, out) })?;
    let mut size = 0;
    check(unsafe { series_size(counts.0, &mut size) })?;
    for i in 0..size {
        let item = Value::of(|out| unsafe { series_item(counts.0, i, out) })?;
        let mut number = 0;
        check(unsafe { series_get_int(item.0, &mut number) })?;
        println!("rises: {}", number);
    }
    if let Err(error) = call(model, Some("forward"), &[&series]) {
        println!("{}", error);
    }
    Ok(())
}

fn main() -> Result<(), String> {
    let mut model = 0;
    check(unsafe { series_open(null(), &mut model) })?;
    run(model)?;
    check(unsafe { series_close(model) })
}
